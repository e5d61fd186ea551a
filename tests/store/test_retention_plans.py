"""Retention reads by indexes alone: on 100,000 runs no statement of it goes through a whole table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete
from store_stage import TENANT

from celeriac.database import reading, to_micros, transaction
from celeriac.platform.store import tables
from celeriac.platform.store.sql_retention import next_name, old_events, old_runs, unneeded

RUNS = 100_000

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=30)

_NUMBERS = {
    "sqlite": "WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {runs}) ",
    "postgresql": "WITH g (n) AS (SELECT generate_series(1, {runs})) ",
}

_FILL = (
    "INSERT INTO events (id, tenant_id, name, data, ts, received_at, matched_at)"
    " SELECT 'evt_' || n, 'ten_' || (n % 10), 'e/' || (n % 3), '{{}}', {at}, {at}, {at} FROM g",
    "INSERT INTO runs (id, tenant_id, app, function_id, version, queue, event_id, status, created_at, queued_at, ended_at)"
    " SELECT 'run_' || n, 'ten_' || (n % 10), 'a', 'f', '', 'runs', 'evt_' || n, 'completed', {at}, {at}, {at} FROM g",
    "INSERT INTO steps (run_id, path, tenant_id, seq, kind, attempt, started_at, ended_at, committed_at, commit_id)"
    " SELECT 'run_' || n, 'a', 'ten_' || (n % 10), 1, 'run', 1, {at}, {at}, {at}, 'c' FROM g",
    "INSERT INTO waits (run_id, path, number, tenant_id, kind, wake_at, created_at, resolved_at, event_id, commit_id)"
    " SELECT 'run_' || n, 'a', 0, 'ten_' || (n % 10), 'event', {at}, {at}, {at}, 'evt_' || n, 'c' FROM g",
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def big(request: pytest.FixtureRequest) -> Engine:
    """A database of 100,000 runs with a step and a wait each, created a minute apart."""
    engine: Engine = request.getfixturevalue(f"{request.param}_schema")
    first = to_micros(NOW) - RUNS * 60_000_000
    with transaction(engine) as connection:
        for table in (tables.events, tables.runs, tables.steps, tables.waits):
            connection.execute(delete(table))
        numbers = _NUMBERS[engine.dialect.name].format(runs=RUNS)
        for statement in _FILL:
            insert, _, values = statement.format(at=f"{first} + CAST(n AS BIGINT) * 60000000").partition(" SELECT ")
            connection.exec_driver_sql(f"{insert} {numbers} SELECT {values}")
        connection.exec_driver_sql("ANALYZE")
    return engine


def plan_of(engine: Engine, statement: Any) -> str:
    """Return how the database means to do it."""
    compiled = statement.compile(engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with reading(engine) as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {compiled}".replace("%", "%%")))


def scans(plan: str) -> list[str]:
    """Return the lines that go through a whole table, or sort one."""
    full = [line for line in plan.splitlines() if "Seq Scan" in line or line.strip().startswith("SCAN ")]
    return full + [line for line in plan.splitlines() if line.strip().startswith("Sort ")]


def place(minute: int) -> str:
    """Return a place in the middle of the sweep."""
    from celeriac.platform.store.sql_run_filter import encode_place

    return encode_place((BEFORE - timedelta(minutes=minute), "run_1"))


STATEMENTS = {
    "the first runs": lambda: old_runs(TENANT, BEFORE, None).limit(200),
    "the next runs": lambda: old_runs(TENANT, BEFORE, place(900)).limit(200),
    "the first events of a name": lambda: old_events(TENANT, "e/1", BEFORE, None).limit(500),
    "the next events of a name": lambda: old_events(TENANT, "e/1", BEFORE, (BEFORE, "evt_1")).limit(500),
    "the next name": lambda: next_name(TENANT, "e/1"),
    "events that nobody needs": lambda: unneeded([f"evt_{n}" for n in range(1, 501)]),
    **{
        f"the {table.name} of runs": lambda table=table: delete(table).where(
            table.c.run_id.in_([f"run_{n}" for n in range(1, 201)])
        )
        for table in (tables.steps, tables.attempts, tables.waits, tables.placed_steps, tables.run_events)
    },
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_goes_through_a_table(big: Engine, name: str) -> None:
    """A table that grows must not make the sweep slower."""
    plan = plan_of(big, STATEMENTS[name]())
    assert scans(plan) == [], plan


def test_a_scan_is_noticed(big: Engine) -> None:
    """The reader of plans must bite."""
    assert scans(plan_of(big, tables.runs.select().where(tables.runs.c.version == "x")))
