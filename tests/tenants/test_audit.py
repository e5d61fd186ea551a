"""The audit log."""

from __future__ import annotations

from sqlalchemy import Engine

from celeriac.database import transaction
from celeriac.tenants.audit import Audit, record


def test_entries_are_read_newest_first_and_page_by_page(tenancy: Engine) -> None:
    """A page goes on where the one before ended."""
    for number in range(3):
        with transaction(tenancy) as connection:
            record(connection, tenant_id="ten_a", actor="system", action="limits.changed", subject=str(number))
    first = Audit(tenancy).entries("ten_a", most=2)
    rest = Audit(tenancy).entries("ten_a", before=first[-1].id)
    assert {entry.subject for entry in [*first, *rest]} == {"0", "1", "2"}
    assert [entry.id for entry in first] == sorted((entry.id for entry in first), reverse=True)


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
