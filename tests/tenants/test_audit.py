"""The audit log: who reads what of it, and how long it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from celeriac.database import db_ago, single, transaction
from celeriac.errors import ConfigError
from celeriac.tenants.audit import Audit, record
from celeriac.tenants.audit_filter import AuditFilter
from celeriac.tenants.tables import audit_log

NOW = datetime.now(UTC)


def written(engine: Engine, subject: str, *, tenant_id: str | None = "ten_a", days_ago: int = 0, **facts: Any) -> None:
    """Write an entry down, so many days ago."""
    facts = {"actor": "system", "action": "limits.changed", **facts}
    with transaction(engine) as connection:
        record(connection, tenant_id=tenant_id, subject=subject, **facts)
        moved = update(audit_log).where(audit_log.c.subject == subject)
        connection.execute(moved.values(at=db_ago(timedelta(days=days_ago))))


def found(engine: Engine, tenant_id: str | None = "ten_a", **where: Any) -> set[str]:
    """Return the subjects of what a filter finds."""
    return {entry.subject for entry in Audit(engine).entries(tenant_id, AuditFilter(**where))}


def test_entries_are_read_newest_first_and_page_by_page(tenancy: Engine) -> None:
    """A page goes on where the one before ended."""
    for number in range(3):
        written(tenancy, str(number))
    first = Audit(tenancy).entries("ten_a", most=2)
    rest = Audit(tenancy).entries("ten_a", before=first[-1].id)
    assert {entry.subject for entry in [*first, *rest]} == {"0", "1", "2"}
    assert [entry.id for entry in first] == sorted((entry.id for entry in first), reverse=True)


def test_the_newest_entry_is_that_of_the_latest_time_whatever_the_ids(tenancy: Engine) -> None:
    """Ids come from the clocks of processes, the time is the database's; and pages lead through all of them."""
    for days_ago in (1, 3, 2, 2):
        written(tenancy, str(days_ago), days_ago=days_ago)
    audit, before, seen = Audit(tenancy), None, []
    while page := audit.entries("ten_a", before=before, most=1):
        seen.append(page[0].subject)
        before = page[0].id
    assert seen == ["1", "2", "2", "3"]


def test_a_page_is_read_by_the_index_alone(tenancy: Engine) -> None:
    """Nothing is sorted, and nobody else's entries are looked at."""
    asked: list[tuple[str, Any]] = []
    event.listen(tenancy, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    Audit(tenancy).entries("ten_a", before="aud_x")
    statement, given = next(one for one in asked if "audit_log" in one[0])
    explain = "EXPLAIN QUERY PLAN " if tenancy.dialect.name == "sqlite" else "EXPLAIN "
    with single(tenancy) as connection:
        if tenancy.dialect.name == "postgresql":  # an empty table is read as it lies
            connection.exec_driver_sql("SET enable_seqscan = off")
            connection.exec_driver_sql("SET enable_bitmapscan = off")
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, given))
    assert "ix_audit_log_tenant_id_at" in plan
    assert "sort" not in plan.lower() and "temp b-tree" not in plan.lower()


def test_a_tenant_sees_its_own_entries_alone(tenancy: Engine) -> None:
    """The installation's entries and those of others are not among them."""
    with transaction(tenancy) as connection:
        for tenant_id in ("ten_a", "ten_b", None):
            record(
                connection, tenant_id=tenant_id, actor="cli:me", action="key.created", subject="x", detail={"kind": 1}
            )
    [entry] = Audit(tenancy).entries("ten_a")
    assert (entry.tenant_id, entry.actor, entry.detail) == ("ten_a", "cli:me", {"kind": 1})
    assert [one.tenant_id for one in Audit(tenancy).entries(None)] == [None]


def test_entries_are_found_by_what_was_done(tenancy: Engine) -> None:
    """By the whole action, or by its beginning, in which no character stands for others."""
    for subject, action in (
        ("a", "key.created"),
        ("b", "key.revoked"),
        ("c", "keys.created"),
        ("d", "member.role_set"),
    ):
        written(tenancy, subject, action=action)
    written(tenancy, "e", tenant_id="ten_b", action="key.created")
    assert found(tenancy, action="key.") == {"a", "b"}
    assert found(tenancy, action="key.created") == {"a"}
    assert found(tenancy, action="key.role_") == found(tenancy, action="___.") == set()


def test_entries_are_found_by_who_did_it_and_to_what(tenancy: Engine) -> None:
    for subject, actor in (("a", "user:1"), ("b", "user:2"), ("c", "user:2")):
        written(tenancy, subject, actor=actor)
    written(tenancy, "b", tenant_id=None, actor="user:2")
    assert found(tenancy, actor="user:2") == {"b", "c"}
    assert found(tenancy, subject="b") == found(tenancy, None, actor="user:2") == {"b"}
    assert found(tenancy, actor="user:1", subject="b") == set()


def test_entries_are_found_by_their_time(tenancy: Engine) -> None:
    for days_ago in (1, 3, 5):
        written(tenancy, str(days_ago), days_ago=days_ago)
    since, until = NOW - timedelta(days=4), NOW - timedelta(days=2)
    assert (found(tenancy, since=since), found(tenancy, until=until)) == ({"1", "3"}, {"3", "5"})
    assert found(tenancy, since=since, until=until) == {"3"}


def test_pages_of_a_filter_lead_through_all_that_fits(tenancy: Engine) -> None:
    """What does not fit takes no place on them."""
    for number in range(6):
        written(tenancy, str(number), action="key.created" if number % 2 else "limits.changed")
    audit, where = Audit(tenancy), AuditFilter(action="key.")
    first = audit.entries("ten_a", where, most=2)
    rest = audit.entries("ten_a", where, before=first[-1].id, most=2)
    assert (len(first), {entry.subject for entry in (*first, *rest)}) == (2, {"1", "3", "5"})


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"action": "key"}, "key. for all"),
        ({"action": "Key.created"}, "no action"),
        ({"action": "key.created; --"}, "no action"),
        ({"action": ""}, "no action"),
        ({"since": NOW, "until": NOW}, "since the earlier time"),
    ],
)
def test_a_filter_that_fits_nothing_is_refused(where: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        AuditFilter(**where)


def test_what_is_old_goes_in_batches_oldest_first(tenancy: Engine) -> None:
    """Of all tenants and of the installation."""
    for days_ago, tenant_id in ((1, "ten_a"), (10, "ten_a"), (11, "ten_b"), (12, None)):
        written(tenancy, str(days_ago), tenant_id=tenant_id, days_ago=days_ago)
    audit, before = Audit(tenancy), NOW - timedelta(days=9)
    assert audit.delete_before(before, most=2) == 2
    assert (found(tenancy), found(tenancy, "ten_b"), found(tenancy, None)) == ({"1", "10"}, set(), set())
    assert (audit.delete_before(before, most=2), audit.delete_before(before, most=2)) == (1, 0)
    assert found(tenancy) == {"1"}
