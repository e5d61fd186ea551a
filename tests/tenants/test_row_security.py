"""Row-level security: with every filter of the web removed, nobody sees or changes a row of another tenant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from walls_asked import ASKED, BESIDE, CHANGING, answer, asked_for_a_tenant
from walls_stage import World, filters_removed, world

from celeriac.database import metadata, migrate, reading, single, transaction
from celeriac.platform.durable.memo import Entry
from celeriac.platform.store.sql_journal_postgres import commit_on_postgres
from celeriac.platform.store.sql_shares import share_out
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.tables import bulk_actions, pauses
from celeriac.row_security import missing, rule_of
from celeriac.settings import Settings
from celeriac.wiring import build
from store.store_stage import step_done
from web.bank_runs import Desk

#: tables in which the other tenant has rows
FILLED = (
    "events", "runs", "steps", "waits", "pauses", "bulk_actions", "memories", "threads", "messages", "tenants",
    "signing_secrets", "tenant_secrets", "api_keys", "users", "memberships", "invitations", "given_answers",
    "audit_log", "usage_deltas",
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(postgres_server: str) -> Iterator[World]:
    """Two tenants; each test leaves them as they are."""
    with world(postgres_server) as made:
        yield made


def test_all_that_is_asked_for_a_tenant_is_asked_here() -> None:
    """A new method of these rooms is asked in `ASKED`, or says in `BESIDE` of tests/tenants/walls_asked.py why not."""
    asked = {name.partition(" ")[0] for name in ASKED}
    assert set(asked_for_a_tenant()) - asked - set(BESIDE) == set()
    assert (asked | set(BESIDE)) - set(asked_for_a_tenant()) == set()
    assert asked & set(BESIDE) == set()


@pytest.mark.parametrize("name", ASKED)
def test_without_filters_the_wall_alone_shows_what_filters_show(stage: World, name: str) -> None:
    """T11: row-level security leaks nothing."""
    expected = answer(stage, name, stage.walled)
    with filters_removed(stage.walled) as removed:
        assert answer(stage, name, stage.walled) == expected
    assert removed, "no filter was removed, so this shows nothing"
    assert "canar" not in expected


@pytest.mark.parametrize("name", [name for name in ASKED if name not in CHANGING])
def test_without_filters_and_without_the_wall_everything_leaks(stage: World, name: str) -> None:
    """The control of T11: what it removes is what keeps tenants apart."""
    expected = answer(stage, name, stage.walled)
    with filters_removed(stage.engine):
        assert answer(stage, name, stage.engine) != expected


def test_without_filters_and_without_the_wall_everything_can_be_changed(postgres_server: str) -> None:
    """The same control for what changes something."""
    with world(postgres_server) as own:
        expected = {name: answer(own, name, own.walled) for name in CHANGING}
        with filters_removed(own.engine):
            found = {name: answer(own, name, own.engine) for name in CHANGING}
    assert [name for name in CHANGING if found[name] == expected[name]] == []


@pytest.mark.parametrize("table", FILLED)
def test_a_transaction_that_names_no_tenant_sees_nothing(stage: World, table: str) -> None:
    count = text(f"SELECT count(*) FROM {table}")
    with reading(stage.engine) as connection:
        assert connection.execute(count).scalar_one() > 0
    with reading(stage.walled) as connection:
        assert connection.execute(count).scalar_one() == 0


@pytest.mark.parametrize("is_local", ["true", "false"])
def test_a_tenant_is_forgotten_at_the_next_checkout(stage: World, is_local: str) -> None:
    """Also one that a plain SET names, which the connection itself remembers."""
    named = f"SELECT set_config('app.tenant_id', '{stage.other}', {is_local}), pg_backend_pid()"
    with single(stage.walled, stage.other) as connection:
        pid = connection.exec_driver_sql(named).one()[1]
    with reading(stage.walled) as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid(), count(*) FROM runs").one() == (pid, 0)


def test_a_tenant_is_forgotten_with_its_transaction(stage: World) -> None:
    """So that one which is opened in a way that names none sees nothing, whoever had the connection before."""
    seen = text("SELECT pg_backend_pid(), count(*) > 0 FROM runs")
    stage.walled.dispose()  # a connection may remember what a test has set for its life
    with single(stage.walled, stage.other) as connection:
        pid, has_seen = connection.execute(seen).one()
    with stage.walled.connect() as connection:
        assert (has_seen, *connection.execute(seen).one()) == (True, pid, False)


def test_who_names_no_tenant_is_not_the_operator(stage: World) -> None:
    """What holds for all tenants is stored under the empty name, and a finished transaction leaves that behind."""
    SqlStore(stage.engine).pause("", "bank", "nightly-report", is_paused=True)
    with single(stage.walled) as connection:
        lifted = connection.execute(pauses.delete().where(pauses.c.tenant_id == "")).rowcount
    SqlStore(stage.engine).pause("", "bank", "nightly-report", is_paused=False)
    assert lifted == 0


def test_the_engine_commits_for_two_tenants_at_once(postgres_server: str) -> None:
    with world(postgres_server) as own:
        rooms = build(Settings(database_url=own.url, _env_file=None))  # type: ignore[call-arg]
        assert rooms.store.commit(steps_of_both(own)) == [1, 1]
        rooms.close()


def test_the_engine_deletes_what_is_old_of_everybody_s_audit_log(postgres_server: str) -> None:
    """Which the web may not, as the tests of its rights below show."""
    with world(postgres_server) as own:
        rooms = build(Settings(database_url=own.url, _env_file=None))  # type: ignore[call-arg]
        owners = (own.me, own.other, None)
        for owner in owners:
            rooms.audit.note(owner, actor="system", action="limits.changed", subject="x")
        before = rooms.store.now() + timedelta(minutes=1)
        assert rooms.audit.delete_before(before) >= len(owners)
        assert [rooms.audit.entries(owner) for owner in owners] == [[], [], []]
        rooms.close()


def test_under_one_tenants_name_the_step_of_another_is_refused(postgres_server: str) -> None:
    """Which is why the engine has a role of its own."""
    with world(postgres_server) as own:
        shares = share_out(steps_of_both(own))
        with transaction(own.walled, own.me) as connection:
            committed = commit_on_postgres(connection, shares)
    assert [shares[place].tenant_id for place in committed] == [own.me]


def steps_of_both(world: World) -> list[Entry]:
    """Return a step of a run of each tenant, to be committed as one group."""
    store = SqlStore(world.engine)
    store.pause(world.other, "bank", "support", is_paused=False)
    return [step_done(Desk(store, tenant).started().claim, "charge") for tenant in (world.me, world.other)]


def test_a_row_of_another_tenant_cannot_be_inserted(stage: World) -> None:
    row = {"id": "blk_1", "tenant_id": stage.other, "kind": "cancel", "filter": "{}", "status": "running"}
    with pytest.raises(DBAPIError, match="row-level security"), transaction(stage.walled, stage.me) as connection:
        connection.execute(bulk_actions.insert().values(**row, created_at=text("1")))


def test_a_row_of_another_tenant_is_not_found_by_an_update(stage: World) -> None:
    changed = bulk_actions.update().where(bulk_actions.c.id == stage.runs.action).values(total=7)
    with single(stage.walled, stage.me) as connection:
        assert connection.execute(changed).rowcount == 0


def test_a_row_cannot_be_given_to_another_tenant(stage: World) -> None:
    given = bulk_actions.update().where(bulk_actions.c.id == stage.runs.action).values(tenant_id=stage.me)
    with pytest.raises(DBAPIError, match="row-level security"), single(stage.walled, stage.other) as connection:
        connection.execute(given)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants SET plan = 'x'",
        "DELETE FROM audit_log",
        "DELETE FROM apps",
        "SELECT password_hash FROM users",
        "UPDATE users SET is_platform_admin = true",
        "DELETE FROM signing_secrets",
    ],
)
def test_the_web_may_not_change_what_is_not_its_business(stage: World, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), single(stage.walled, stage.me) as connection:
        connection.exec_driver_sql(statement)


def test_the_web_locks_its_tenants_row_and_gives_it_no_other_id(stage: World) -> None:
    """For which it may change the id, and the policy refuses any other."""
    with transaction(stage.walled, stage.me) as connection:
        locked = connection.exec_driver_sql("SELECT id FROM tenants FOR UPDATE").scalars().all()
    assert locked == [stage.me]
    with pytest.raises(DBAPIError, match="row-level security"), single(stage.walled, stage.me) as connection:
        connection.exec_driver_sql("UPDATE tenants SET id = 'ten_x'")


def test_a_pause_is_one_with_the_revision_that_tells_of_it(stage: World) -> None:
    """The pause is the tenant's, the revision the fleet's; the connection is the web's again afterwards."""
    told = "SELECT sum(revision) FROM apps"
    with reading(stage.engine) as connection:
        before = connection.exec_driver_sql(told).scalar_one()
    store = SqlStore(stage.engine, walled=stage.walled)
    store.pause(stage.me, "bank", "support", is_paused=True)
    with single(stage.walled, stage.me) as connection:
        role, paused = connection.exec_driver_sql("SELECT current_user, count(*) FROM pauses").one()
        assert (role, paused, connection.exec_driver_sql(told).scalar_one() > before) == ("celeriac_web", 1, True)
    declared = store.declared()
    assert declared.is_paused(stage.me, declared.functions["bank/support"])
    store.pause(stage.me, "bank", "support", is_paused=False)


def test_every_table_is_behind_the_wall(stage: World) -> None:
    with reading(stage.engine) as connection:
        assert missing(connection, metadata.sorted_tables) == []


def test_every_table_says_whose_its_rows_are() -> None:
    """A table with a `tenant_id` needs nothing; write `info=SHARED`, `ENGINE_ONLY` or `owned_by(…)` into another."""
    assert [table.name for table in metadata.sorted_tables if rule_of(table) is None] == []


def test_no_table_with_a_tenant_is_shared() -> None:
    """Such a table would be open to all tenants."""
    with_tenant = [table for table in metadata.sorted_tables if "tenant_id" in table.c]
    assert [table.name for table in with_tenant if getattr(rule_of(table), "owner", None) is None] == []


def test_a_wall_that_was_weakened_is_mended_by_the_next_migration(tenancy: Engine) -> None:
    if tenancy.dialect.name == "sqlite":
        return
    with single(tenancy) as connection:
        connection.exec_driver_sql("DROP POLICY celeriac_engine ON runs")
        assert [what for what, _ in missing(connection, metadata.sorted_tables)] == [
            "no policy, or an old one, on runs"
        ]
    migrate(tenancy.url.render_as_string(hide_password=False))
    with single(tenancy) as connection:
        assert missing(connection, metadata.sorted_tables) == []
