"""What the databases alone have to get right about starting: other processes, and looks that are out of date."""

from __future__ import annotations

from sqlalchemy import Engine, insert, select
from starting_stage import AT_ONCE, batched, debounced, run, sent, ticket
from store_stage import TENANT, Stage, function

from celeriac.database import transaction
from celeriac.platform.event import Event
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.sql_waking import resolve
from celeriac.platform.store.tables import apps


def test_what_another_process_declares_is_known_with_the_next_event(sql_stage: Stage, engine: Engine) -> None:
    web = Stage(SqlStore(engine))
    assert len(web.send(Event("ticket"))) == 1
    sql_stage.declare(function("work", "ticket"), function("audit", "ticket"))
    assert len(web.send(Event("ticket"))) == 2
    sql_stage.declare()
    assert web.send(Event("ticket")) == []


def test_a_pause_in_another_process_is_known_with_the_next_event(sql_stage: Stage, engine: Engine) -> None:
    web = Stage(SqlStore(engine))
    assert len(web.send(Event("ticket"))) == 1
    sql_stage.store.pause(TENANT, "desk", "work", is_paused=True)
    assert web.send(Event("ticket")) == []


def test_a_start_that_was_put_off_since_somebody_looked_stays(sql_stage: Stage, engine: Engine) -> None:
    sql_stage.declare(debounced(AT_ONCE))
    first = sent(sql_stage, ticket(1))
    sql_stage.declare(debounced())
    sql_stage.send(ticket(2))
    with transaction(engine) as connection:
        assert resolve(connection, {(first.id, "", 0): None}) == []
    assert run(sql_stage, first.id).status == "parked"


def test_two_processes_fill_one_batch(sql_stage: Stage, engine: Engine) -> None:
    sql_stage.declare(batched(2))
    web = Stage(SqlStore(engine))
    assert (web.send(ticket(1)), len(sql_stage.send(ticket(2)))) == ([], 1)


def test_what_is_declared_is_read_once(sql_stage: Stage) -> None:
    assert isinstance(sql_stage.store, SqlStore)
    sql_stage.send(Event("ticket"))
    known = sql_stage.store._known
    sql_stage.send(Event("ticket"))
    assert known is not None and sql_stage.store._known is not None
    assert known[1] is sql_stage.store._known[1]


def test_any_number_of_apps_may_have_been_declared(sql_stage: Stage, engine: Engine) -> None:
    """Each of their revisions is a time in microseconds, and some thousand of those are more than a BIGINT holds."""
    other = Stage(SqlStore(engine))
    with transaction(engine) as connection:
        moment = connection.execute(select(apps.c.revision)).scalar_one()
        connection.execute(insert(apps), [{"app": f"app-{n}", "revision": moment + n} for n in range(6_000)])
    assert [len(one.send(Event("ticket"))) for one in (sql_stage, other)] == [1, 1]
    sql_stage.declare(function(), function("second"))
    assert [len(one.send(Event("ticket"))) for one in (sql_stage, other)] == [2, 2]
