"""Retention: what ended long ago goes with all that hangs on it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, Table, func, select
from store_stage import OTHER, TENANT, Stage, attempt_failed, event_wait, function, outgoing, sleep, step_done

from celeriac.database import reading, transaction
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.operations import Operations, Sweep
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.retention import batches
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.durable.store import Claim
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Batch, Singleton
from celeriac.platform.store import tables
from celeriac.platform.store.sql_operations import SqlOperations

#: what is kept, and what is older than that
KEPT, OLD = timedelta(days=30), timedelta(days=31)

OF_RUNS = (tables.runs, tables.steps, tables.attempts, tables.waits, tables.placed_steps, tables.run_events)


@pytest.fixture
def operations(engine: Engine) -> Operations:
    return SqlOperations(engine)


def clean(stage: Stage, operations: Operations, tenant: str = TENANT) -> int:
    """Let retention do all its batches."""
    return sum(batches(operations, tenant, stage.store.now() - KEPT))


def age(engine: Engine, by: timedelta = OLD) -> None:
    """Make everything older; nothing waits to be matched any more."""
    for table, columns in (
        (tables.runs, ("created_at", "queued_at", "started_at", "ended_at")),
        (tables.events, ("received_at", "ts", "matched_at")),
        (tables.bulk_actions, ("created_at", "ended_at")),
        (tables.run_keys, ("expires_at",)),
    ):
        micros = by // timedelta(microseconds=1)
        with transaction(engine) as connection:
            for column in columns:
                connection.exec_driver_sql(f"UPDATE {table.name} SET {column} = {column} - {micros}")


def count(engine: Engine, table: Table) -> int:
    """Count the rows of a table."""
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def names(engine: Engine) -> set[str]:
    """Return the names of the events that are there."""
    with reading(engine) as connection:
        return set(connection.execute(select(tables.events.c.name)).scalars())


def full(stage: Stage, tenant: str = TENANT) -> Claim:
    """Let a run leave a row in every table, and end."""
    claim = stage.claimed(tenant=tenant)
    stage.begin(claim, sleep("nap"))
    entries = [step_done(claim, "a", events=(outgoing(f"evt_{claim.run.id}"),)), attempt_failed(claim, "b", 1)]
    assert None not in stage.store.commit(entries)
    assert stage.store.place(claim, "placed", "cpu", "{}") is not None
    assert stage.finish(claim)
    stage.store.match_pending()
    return claim


def test_a_run_goes_with_all_that_hangs_on_it(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    sql_stage.declare(function(rules=StartRules(batch=Batch(1, timeout=timedelta(hours=1)))))
    full(sql_stage)
    assert all(count(engine, table) for table in OF_RUNS)
    age(engine)
    assert clean(sql_stage, operations) > 0
    assert [table.name for table in OF_RUNS if count(engine, table)] == []
    assert names(engine) == set()


def test_what_ended_lately_stays(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    """However long ago it began."""
    full(sql_stage)
    claim = sql_stage.claimed()
    age(engine, KEPT - timedelta(hours=1))
    assert clean(sql_stage, operations) == 0
    age(engine)
    sql_stage.finish(claim)
    clean(sql_stage, operations)
    with reading(engine) as connection:
        left = connection.execute(select(tables.runs.c.id)).scalars().all()
    assert left == [claim.run.id]
    assert names(engine) == {"ticket", "celeriac/run.finished"}


def test_what_goes_on_stays(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    standing = [sql_stage.queued().run_id, sql_stage.parked(sleep()).run.id, sql_stage.claimed().run.id]
    age(engine)
    assert clean(sql_stage, operations) == 0
    with reading(engine) as connection:
        assert sorted(connection.execute(select(tables.runs.c.id)).scalars()) == sorted(standing)
    assert count(engine, tables.events) == 3
    assert count(engine, tables.waits) == 1


def test_another_tenant_loses_nothing(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    full(sql_stage, OTHER)
    before = {table.name: count(engine, table) for table in (*OF_RUNS, tables.events)}
    age(engine)
    assert clean(sql_stage, operations) == 0
    assert {table.name: count(engine, table) for table in (*OF_RUNS, tables.events)} == before


def test_an_event_stays_for_as_long_as_a_run_is_of_it(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    """One that is done again needs the old event."""
    old = full(sql_stage)
    age(engine)
    queued = operations.rerun(TENANT, old.run.id, Wish())
    clean(sql_stage, operations)
    assert sql_stage.claim(queued.run_id).event.data == {"id": "T-1"}
    assert count(engine, tables.runs) == 1


def test_an_event_stays_for_as_long_as_a_run_was_woken_by_it(
    sql_stage: Stage, operations: Operations, engine: Engine
) -> None:
    """A run that has not come to it since would miss it."""
    claim = sql_stage.parked(event_wait())
    sql_stage.send(Event("answer", {"yes": True}), Event("nothing"))
    age(engine)
    clean(sql_stage, operations)
    assert names(engine) == {"ticket", "answer"}
    [wait] = sql_stage.store.waits(sql_stage.claim(claim.run.id))
    assert wait.event is not None


def test_an_event_that_was_gathered_stays_with_its_run(
    sql_stage: Stage, operations: Operations, engine: Engine
) -> None:
    sql_stage.declare(function(rules=StartRules(batch=Batch(3, timeout=timedelta(hours=1)))))
    sql_stage.send(*[Event("ticket", {"n": n}) for n in range(2)])
    age(engine)
    clean(sql_stage, operations)
    assert count(engine, tables.events) == 2


def test_an_event_that_is_not_matched_yet_stays(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    sql_stage.finish(sql_stage.claimed())
    age(engine)
    clean(sql_stage, operations)
    assert names(engine) == {"celeriac/run.finished"}
    assert sql_stage.store.match_pending().accepted != []


def test_an_id_is_remembered_for_its_day(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    """Also where an operator deletes what ended a minute ago."""
    sql_stage.declare()
    sql_stage.send(Event("ticket", id="mine"), Event("other"))
    list(batches(operations, TENANT, sql_stage.store.now()))
    assert names(engine) == {"ticket"}
    age(engine, timedelta(days=2))
    list(batches(operations, TENANT, sql_stage.store.now()))
    assert names(engine) == set()


def test_sweeps_go_on_where_they_stopped(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    """All of them were created and received at one moment."""
    sql_stage.send(*[Event("ticket", {"n": n}) for n in range(7)], *[Event(f"lone/{n}") for n in range(7)])
    while queued := sql_stage.store.stranded(older_than=timedelta(seconds=-1)):
        for run in queued:
            sql_stage.finish(sql_stage.claim(run.run_id))
    sql_stage.store.match_pending()
    age(engine)
    before = sql_stage.store.now() - KEPT
    assert list(sweeps(operations.delete_runs, before)) == [3, 3, 1]
    assert count(engine, tables.runs) == 0
    assert max(sweeps(operations.delete_events, before)) == 3
    assert names(engine) == set()


def sweeps(delete: Callable[..., Sweep], before: datetime) -> Iterator[int]:
    """Delete three by three."""
    swept = delete(TENANT, before, most=3)
    yield swept.deleted
    while swept.after is not None:
        swept = delete(TENANT, before, after=swept.after, most=3)
        yield swept.deleted


def test_bulk_actions_that_are_over_go_too(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    over, running = (operations.begin(TENANT, "rerun", RunFilter(status="failed")) for _ in range(2))
    operations.advance(over.id)
    age(engine)
    clean(sql_stage, operations)
    assert [action.id for action in operations.actions(TENANT)] == [running.id]


def test_keys_that_are_free_go_until_none_is_left(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    """Those that stand for a run, or have not been free for a day, stay."""
    rules = StartRules(idempotency="event.data.id", singleton=Singleton(key="event.data.id"))
    sql_stage.declare(function(rules=rules))
    sql_stage.send(*[Event("ticket", {"id": n}) for n in range(5)])
    age(engine)
    sql_stage.send(Event("ticket", {"id": "new"}))
    assert [operations.delete_free_keys(most=2) for _ in range(4)] == [2, 2, 1, 0]
    with reading(engine) as connection:
        kinds = connection.execute(select(tables.run_keys.c.kind).order_by(tables.run_keys.c.kind)).scalars().all()
    assert kinds == ["idempotency", *["singleton"] * 6]


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_run_that_somebody_holds_is_passed_over(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    """SQLite has one writer: nobody can hold a row beside another."""
    held, _ = full(sql_stage), full(sql_stage)
    age(engine)
    with transaction(engine) as connection:
        connection.execute(select(tables.runs.c.id).where(tables.runs.c.id == held.run.id).with_for_update(read=True))
        assert operations.delete_runs(TENANT, sql_stage.store.now() - KEPT).deleted == 1
    with reading(engine) as connection:
        assert connection.execute(select(tables.runs.c.id)).scalars().all() == [held.run.id]


def test_how_many_would_go_is_counted(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    full(sql_stage)
    age(engine)
    full(sql_stage)
    assert operations.count_ended(TENANT, sql_stage.store.now() - KEPT) == 1
    assert operations.count_ended(OTHER, sql_stage.store.now()) == 0
