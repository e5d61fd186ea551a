"""Counting in SQL: what is used is written by the transaction that uses it, so that neither is there without the other.

Hot statements on Postgres carry the `counted…` texts of this file as one more part; everything else calls `count`. On
Postgres that appends rows, which waits for nobody; on SQLite it adds to the day, as its one writer waits for nobody
either. What is counted of an insertion that may find its row there already is what it really inserted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from celeriac.database import NOW, straight
from celeriac.platform.codec import utf8_size
from celeriac.platform.durable.usage import COUNTS
from celeriac.platform.store.sql_part import insert_returning
from celeriac.platform.store.tables import events
from celeriac.platform.store.usage_tables import KEY

#: the day of the present: days since 1970 in UTC
DAY = {
    "sqlite": f"{NOW['sqlite']} / 86400000000",
    "postgresql": f"CAST({NOW['postgresql']} / 86400000000 AS INT)",
}

#: what is counted of steps, in the order of `Share.by_model`
OF_STEPS = COUNTS[2:]

_DAY = DAY["postgresql"]

#: links, of the rows of `claimed`
COUNTED_CLAIMS = f"""
counted AS (
    INSERT INTO usage_deltas (tenant_id, day, function, model, links)
    SELECT c.tenant_id, {_DAY}, c.function, '', c.links
    FROM (SELECT tenant_id, app || '/' || function_id AS function, count(*) AS links FROM claimed GROUP BY 1, 2) AS c
)"""

#: runs that began, of the rows of `run`, and the bytes of events that came, of those of `event`
COUNTED_STARTS = f"""
counted AS (
    INSERT INTO usage_deltas (tenant_id, day, function, model, runs)
    SELECT c.tenant_id, {_DAY}, c.function, '', c.runs
    FROM (SELECT tenant_id, app || '/' || function_id AS function, count(*) AS runs FROM run GROUP BY 1, 2) AS c
)"""

COUNTED_EVENTS = f"""
counted_events AS (
    INSERT INTO usage_deltas (tenant_id, day, function, model, bytes)
    SELECT c.tenant_id, {_DAY}, '', '', c.bytes
    FROM (SELECT tenant_id, sum(size) AS bytes FROM event GROUP BY 1) AS c
)"""

#: the bytes of the events that tell of ends, of the rows of `told` and `ended`
COUNTED_ENDINGS = f"""
counted AS (
    INSERT INTO usage_deltas (tenant_id, day, function, model, bytes)
    SELECT c.tenant_id, {_DAY}, c.function, '', c.bytes
    FROM (
        SELECT ended.tenant_id, ended.app || '/' || ended.function_id AS function, sum(told.size) AS bytes
        FROM told JOIN ended ON ended.id = told.run_id GROUP BY 1, 2
    ) AS c
)"""

_ADD_ON_POSTGRES = f"""
INSERT INTO usage_deltas ({", ".join((*KEY, *COUNTS))})
VALUES (%s, {_DAY}, {", ".join(["%s"] * (len(KEY) - 2 + len(COUNTS)))})"""

_ADD_ON_SQLITE = f"""
INSERT INTO usage_daily ({", ".join((*KEY, *COUNTS))})
VALUES (?, {DAY["sqlite"]}, {", ".join("?" * (len(KEY) - 2 + len(COUNTS)))})
ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTS)}"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What counts under one key of today."""

    tenant_id: str
    #: `app/function_id`, or empty
    function: str = ""
    runs: int = 0
    links: int = 0
    bytes: int = 0


def count(connection: Connection, counted: Iterable[Counted]) -> None:
    """Count what the transaction does."""
    totals: dict[tuple[str, str], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for one in counted:
        runs, links, stored = totals[one.tenant_id, one.function]
        totals[one.tenant_id, one.function] = (runs + one.runs, links + one.links, stored + one.bytes)
    nothing = (0,) * (len(OF_STEPS) - 1)
    rows = [
        (tenant_id, function, "", runs, links, *nothing, stored)
        for (tenant_id, function), (runs, links, stored) in totals.items()
    ]
    _add(connection, rows)


def count_steps(connection: Connection, counted: Iterable[tuple[str, str, Sequence[Any]]]) -> None:
    """Count steps; each comes with its tenant, its function, and a row of `Share.by_model`."""
    totals: dict[tuple[str, str, str], list[Any]] = {}
    for tenant, function, (model, *parts) in counted:
        known = totals.setdefault((tenant, function, model), parts)
        if known is not parts:
            known[:] = [one + other for one, other in zip(known, parts, strict=True)]
    _add(connection, [(*key, 0, 0, *parts) for key, parts in totals.items()])


def insert_events(connection: Connection, rows: Sequence[Mapping[str, Any]], function: str = "") -> None:
    """Insert the events that are not there yet, and count their bytes under the function."""
    new = set(insert_returning(connection, events, rows, "id"))
    by_id = {row["id"]: row for row in rows}
    count(
        connection,
        [
            Counted(tenant_id=row["tenant_id"], function=function, bytes=utf8_size(row["data"]))
            for id, row in by_id.items()
            if id in new
        ],
    )


def _add(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_ADD_ON_POSTGRES, rows)
        return
    with straight(connection) as cursor:
        cursor.executemany(_ADD_ON_SQLITE, rows)
