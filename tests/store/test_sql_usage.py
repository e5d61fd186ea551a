"""Usage in SQL: it agrees with what is stored, and rolls, deletions and midnight change nothing about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, func, select, text
from store_stage import TENANT, Stage, outgoing, sleep, step_done, together, wait_begun

from celeriac.database import connect, reading, to_micros, transaction
from celeriac.platform.durable.usage import UsageRow
from celeriac.platform.event import Event
from celeriac.platform.message import Usage
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.sql_usage import SqlUsages
from celeriac.platform.store.tables import events, runs, steps
from celeriac.platform.store.usage_tables import usage_deltas

CALL = Usage(model_calls=1, input_tokens=10, output_tokens=2, cached_tokens=4, reasoning_tokens=1, cost_usd=0.25)
STORED = (steps.c.value, events.c.data)
OF_RUNS = ("links", "steps", *(name for name in CALL.export()))


@pytest.fixture
def on_postgres(postgres_schema: Engine) -> Stage:
    """A store on Postgres with what other tests left in it, in which `work` starts on `ticket`."""
    stage = Stage(SqlStore(postgres_schema))
    with transaction(postgres_schema) as connection:
        for table in ("usage_deltas", "usage_daily"):
            connection.execute(text(f"DELETE FROM {table}"))
    return stage


def total(engine: Engine) -> UsageRow:
    """Return all that was ever used by the tenant."""
    [row] = SqlUsages(engine).usage(TENANT, date(2000, 1, 1), date(2100, 1, 1), by=())
    return row


def play(stage: Stage) -> None:
    """Do a little of everything that is counted."""
    one, two = stage.claimed(), stage.claimed()
    called = step_done(one, "a", '"ä"', usage=CALL, model="m", events=(outgoing("evt_x"),))
    stage.store.commit([called, step_done(two, "a"), wait_begun(two, sleep(), events=(outgoing("evt_y"),))])
    stage.store.commit([step_done(one, "b", None, error="{}")])
    stage.store.commit([step_done(one, "c", usage=CALL, model="n")])
    stage.store.requeue(two)
    stage.claim(two.run.id)
    stage.finish(one)
    stage.send(Event("ticket", {}), Event("nobody", {"a": "ü"}))
    stage.store.match_pending()
    stage.store.cancel(TENANT, stage.queued().run_id)


def test_usage_agrees_with_what_is_stored(sql_stage: Stage, engine: Engine) -> None:
    play(sql_stage)
    used = total(engine)
    with reading(engine) as connection:
        sums = connection.execute(select(*(func.sum(runs.c[name]) for name in OF_RUNS))).one()
        assert used.runs == connection.execute(select(func.count()).select_from(runs)).scalar_one()
        kept = [text for column in STORED for text in connection.execute(select(column)).scalars()]
    assert [getattr(used, name) for name in OF_RUNS] == list(sums)
    assert used.bytes == sum(len((one or "").encode()) for one in kept)


def test_what_is_deleted_stays_counted(sql_stage: Stage, engine: Engine) -> None:
    play(sql_stage)
    before, operations = total(engine), SqlOperations(engine)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert operations.delete_runs(TENANT, later).deleted > 0
    operations.delete_events(TENANT, later)
    assert total(engine) == before


def test_rolls_change_no_answer(sql_stage: Stage, engine: Engine) -> None:
    play(sql_stage)
    usages, before = SqlUsages(engine), total(engine)
    while usages.roll(most=3):
        assert total(engine) == before
    play(sql_stage)
    assert total(engine).steps == 2 * before.steps
    assert total(engine).runs == 2 * before.runs


def test_rolls_that_meet_count_everything_once(on_postgres: Stage, postgres_schema: Engine) -> None:
    usages = SqlUsages(postgres_schema)
    claims = [on_postgres.claimed() for _ in range(4)]

    def work(claim_number: int) -> None:
        for n in range(25):
            on_postgres.store.commit([step_done(claims[claim_number], f"s{n}", usage=CALL, model=f"m{n % 3}")])

    def roll() -> None:
        for _ in range(30):
            usages.roll(most=7)

    together(*(lambda n=n: work(n) for n in range(4)), roll, roll, roll)
    while usages.roll(most=7):
        continue
    assert (total(postgres_schema).steps, total(postgres_schema).cost_usd, left(postgres_schema)) == (100, 25.0, 0)


def test_a_read_in_the_middle_of_a_roll_is_exact(on_postgres: Stage, postgres_schema: Engine) -> None:
    play(on_postgres)
    before = total(postgres_schema)
    with transaction(postgres_schema) as connection:
        connection.execute(select(usage_deltas).limit(2).with_for_update()).all()
        assert SqlUsages(postgres_schema).roll() > 0
        assert (left(postgres_schema), total(postgres_schema)) == (2, before)


def left(engine: Engine) -> int:
    """Return how many rows wait to be rolled up."""
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(usage_deltas)).scalar_one()


@contextmanager
def at(engine: Engine, moment: datetime) -> Iterator[Stage]:
    """Yield the store on the same database with the database's clock standing at this moment."""
    moved = connect(engine.url.render_as_string(hide_password=False))
    event.listen(moved, "connect", lambda connection, _: _set_clock(connection, moved.dialect.name, moment))
    yield Stage(SqlStore(moved))
    moved.dispose()


def _set_clock(connection: object, dialect: str, moment: datetime) -> None:
    if dialect == "sqlite":
        connection.create_function("celeriac_now", 0, lambda: to_micros(moment))  # type: ignore[attr-defined]
        return
    # A function of ours stands before that of Postgres where its schema is named first.
    for statement in (
        "CREATE SCHEMA IF NOT EXISTS moved",
        "CREATE OR REPLACE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
        f"$$SELECT '{moment.isoformat()}'::timestamptz$$",
        "SET search_path = moved, public, pg_catalog",
    ):
        connection.execute(statement)  # type: ignore[attr-defined]


def test_a_day_ends_at_midnight_of_the_database(sql_stage: Stage, engine: Engine) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    claim = sql_stage.claimed()
    for n, moment in enumerate((midnight - timedelta(microseconds=1), midnight)):
        with at(engine, moment) as stage:
            stage.store.commit([step_done(claim, f"a{n}", usage=CALL, model="m")])
    rows = SqlUsages(engine).usage(TENANT, date(2026, 2, 28), date(2026, 3, 1), by=("day",))
    assert [(row.day, row.steps) for row in rows] == [(date(2026, 2, 28), 1), (date(2026, 3, 1), 1)]
    assert SqlUsages(engine).spent(TENANT, midnight) == 0.25
