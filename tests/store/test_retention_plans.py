"""Retention reads by indexes alone: on 100,000 runs no statement of it goes through a whole table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete

from celeriac.database import reading, to_micros, transaction
from celeriac.platform.store import tables
from celeriac.platform.store.sql_retention import next_name, old_events, old_runs, unneeded
from celeriac.platform.store.sql_run_filter import encode_place

RUNS = 100_000
TENANT = "ten_1"

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=30)

_NUMBERS = {
    "sqlite": "WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {rows}) ",
    "postgresql": "WITH g (n) AS (SELECT generate_series(1, {rows})) ",
}

_TENANT = "'ten_' || (n - n / 10 * 10)"

#: what a row of each table is made of, by columns
_FILL = {
    "events": {"id": "'evt_' || n", "name": "'e/' || (n - n / 3 * 3)", "data": "'{}'", "ts": "at", "received_at": "at"}
    | {"matched_at": "at"},
    "runs": {"id": "'run_' || n", "app": "'a'", "function_id": "'f'", "version": "''", "queue": "'runs'"}
    | {"event_id": "'evt_' || n", "status": "'completed'", "created_at": "at", "queued_at": "at", "ended_at": "at"},
    "steps": {"run_id": "'run_' || n", "path": "'a'", "seq": "1", "kind": "'run'", "attempt": "1", "started_at": "at"}
    | {"ended_at": "at", "committed_at": "at", "commit_id": "'c'"},
    "attempts": {"run_id": "'run_' || n", "path": "'a'", "number": "1", "error": "'{}'", "started_at": "at"}
    | {"ended_at": "at", "commit_id": "'c'"},
    "waits": {"run_id": "'run_' || n", "path": "'a'", "number": "0", "kind": "'event'", "wake_at": "at"}
    | {"created_at": "at", "resolved_at": "at", "event_id": "'evt_' || n", "commit_id": "'c'"},
    "placed_steps": {"run_id": "'run_' || n", "path": "'a'", "queue": "'cpu'", "status": "'done'", "call": "'{}'"}
    | {"queued_at": "at"},
    "run_events": {"run_id": "'run_' || n", "event_id": "'evt_' || n"},
}


_MANY = ("events", "runs", "steps", "waits")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def big(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database of 100,000 runs, created a minute apart, with their events, steps and waits, and some of the rest."""
    engine: Engine = request.getfixturevalue(f"{request.param}_schema")
    at = f"{to_micros(NOW) - RUNS * 60_000_000} + CAST(n AS BIGINT) * 60000000 AS at"
    _empty(engine)
    with transaction(engine) as connection:
        for table, columns in _FILL.items():
            numbers = _NUMBERS[engine.dialect.name].format(rows=RUNS if table in _MANY else RUNS // 5)
            values = ", ".join([_TENANT, *columns.values()])
            source = f"{numbers}SELECT {values} FROM (SELECT n, {at} FROM g) AS r"
            connection.exec_driver_sql(f"INSERT INTO {table} (tenant_id, {', '.join(columns)}) {source}")
        connection.exec_driver_sql("ANALYZE")
    yield engine
    _empty(engine)


def _empty(engine: Engine) -> None:
    with transaction(engine) as connection:
        for table in _FILL:
            is_postgres = engine.dialect.name == "postgresql"
            connection.exec_driver_sql(f"TRUNCATE {table}" if is_postgres else f"DELETE FROM {table}")
        connection.exec_driver_sql("ANALYZE")


def plan_of(engine: Engine, statement: Any) -> str:
    """Return how the database means to do it."""
    compiled = statement.compile(engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with reading(engine) as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {compiled}".replace("%", "%%")))


def scans(plan: str) -> list[str]:
    """Return the lines that go through a whole table, or sort one; what is in order but for equals costs nothing."""
    return [line for line in plan.splitlines() if re.search(r"Seq Scan|^SCAN |(^|->)\s*Sort +\(", line)]


def place(minute: int) -> str:
    """Return a place in the middle of the sweep."""
    return encode_place((BEFORE - timedelta(minutes=minute), "run_1"))


STATEMENTS = {
    "the first runs": lambda: old_runs(TENANT, BEFORE, None).limit(200),
    "the next runs": lambda: old_runs(TENANT, BEFORE, place(28_000)).limit(200),
    "the first events of a name": lambda: old_events(TENANT, "e/1", BEFORE, None).limit(200),
    "the next events of a name": lambda: old_events(TENANT, "e/1", BEFORE, (BEFORE, "evt_1")).limit(200),
    "the next name": lambda: next_name(TENANT, "e/1"),
    "events that nobody needs": lambda: unneeded([f"evt_{n}" for n in range(1, 201)]),
    **{
        f"the {table.name} of runs": lambda table=table: delete(table).where(
            table.c.run_id.in_([f"run_{n}" for n in range(1, 51)])
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
