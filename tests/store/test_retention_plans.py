"""Retention reads by indexes alone: on 100,000 runs no statement of it goes through a whole table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from celeriac.database import reading, to_micros, transaction
from celeriac.platform.store.sql_retention import (
    EVENTS_ON_POSTGRES,
    EVENTS_ON_SQLITE,
    NEXT_NAME,
    OLD_EVENTS,
    OLD_RUNS,
    PARTS,
    RUNS_ON_POSTGRES,
    on_sqlite,
    rows_on_sqlite,
)

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


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def big(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database of 100,000 runs, created a minute apart, with a row of each kind for each."""
    engine: Engine = request.getfixturevalue(f"{request.param}_schema")
    at = f"{to_micros(NOW) - RUNS * 60_000_000} + CAST(n AS BIGINT) * 60000000 AS at"
    _empty(engine)
    with _as_login(engine) as connection:
        for table, columns in _FILL.items():
            numbers = _NUMBERS[engine.dialect.name].format(rows=RUNS)
            values = ", ".join([_TENANT, *columns.values()])
            source = f"{numbers}SELECT {values} FROM (SELECT n, {at} FROM g) AS r"
            connection.exec_driver_sql(f"INSERT INTO {table} (tenant_id, {', '.join(columns)}) {source}")
        connection.exec_driver_sql("ANALYZE")
    yield engine
    _empty(engine)


@contextmanager
def _as_login(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that may analyze and truncate, as the engine's role may not."""
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL ROLE NONE")
        yield connection


def _empty(engine: Engine) -> None:
    with _as_login(engine) as connection:
        for table in _FILL:
            is_postgres = engine.dialect.name == "postgresql"
            connection.exec_driver_sql(f"TRUNCATE {table}" if is_postgres else f"DELETE FROM {table}")
        connection.exec_driver_sql("ANALYZE")


def plan_of(engine: Engine, statement: str, names: tuple[object, ...]) -> str:
    """Return how the database means to do it."""
    explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with reading(engine) as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", names))


def scans(plan: str) -> list[str]:
    """Return the lines that go through a whole table, or sort one; the ids of a batch may be read in any way."""
    return [line for line in plan.splitlines() if re.search(r"Seq Scan|^SCAN (?!json_each)|B-TREE FOR ORDER", line)]


UNTIL = to_micros(BEFORE)
MIDDLE = UNTIL - 28_000 * 60_000_000
IDS = json.dumps([f"evt_{n}" for n in range(1, 201)])

#: each batch, from the beginning and from the middle of its sweep
POSTGRES = {
    "the first runs": (RUNS_ON_POSTGRES, (TENANT, UNTIL, UNTIL, 0, 0, "", 200)),
    "the next runs": (RUNS_ON_POSTGRES, (TENANT, UNTIL, UNTIL, MIDDLE, MIDDLE, "run_1", 200)),
    "the first events": (EVENTS_ON_POSTGRES, (TENANT, "e/1", UNTIL, 0, 0, "", 200)),
    "the next events": (EVENTS_ON_POSTGRES, (TENANT, "e/1", UNTIL, MIDDLE, MIDDLE, "evt_1", 200)),
    "the next name": (NEXT_NAME, (TENANT, "e/1")),
}

SQLITE = {
    "the first runs": (on_sqlite(OLD_RUNS), (TENANT, UNTIL, UNTIL, 0, 0, "", 200)),
    "the next runs": (on_sqlite(OLD_RUNS), (TENANT, UNTIL, UNTIL, MIDDLE, MIDDLE, "run_1", 200)),
    "the next events": (on_sqlite(OLD_EVENTS), (TENANT, "e/1", UNTIL, MIDDLE, MIDDLE, "evt_1", 200)),
    "events that nobody needs": (EVENTS_ON_SQLITE, (IDS,)),
    "the next name": (on_sqlite(NEXT_NAME), (TENANT, "e/1")),
    **{f"the {part} of runs": (rows_on_sqlite(part, "run_id"), (IDS,)) for part in PARTS},
}


@pytest.mark.parametrize("name", POSTGRES)
@pytest.mark.parametrize("big", ["postgres"], indirect=True)
def test_no_statement_goes_through_a_table_of_postgres(big: Engine, name: str) -> None:
    """A table that grows must not make the sweep slower."""
    plan = plan_of(big, *POSTGRES[name])
    assert scans(plan) == [], plan
    assert re.search(r"Index (Only )?Scan using ix_(runs_tenant_id_created_at|events_tenant_id_name)", plan), "sorted"


@pytest.mark.parametrize("name", SQLITE)
@pytest.mark.parametrize("big", ["sqlite"], indirect=True)
def test_no_statement_goes_through_a_table_of_sqlite(big: Engine, name: str) -> None:
    """Nor here."""
    plan = plan_of(big, *SQLITE[name])
    assert scans(plan) == [], plan


def test_a_scan_is_noticed(big: Engine) -> None:
    """The reader of plans must bite."""
    assert scans(plan_of(big, "SELECT * FROM runs WHERE version = 'x'", ()))
