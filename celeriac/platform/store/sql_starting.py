"""Starting in SQL: makes a plan true, the runs that begin, those that are joined, and what stands for their keys.

Called inside the transaction of ingest or of `match_pending`, under the locks of the events' names and of the keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from celeriac.database import from_micros, straight, to_micros
from celeriac.platform.durable.admission import admission, freeze
from celeriac.platform.durable.ending import unstarted_event
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.run_keys import RunKey
from celeriac.platform.durable.starting import Join, Plan, Standing, Start, Unstarted, cancelling_waits, in_order
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_counting import COUNTED_STARTS, Counted, count, insert_events
from celeriac.platform.store.sql_part import among, insert_new, lock_names, text_array
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.sql_waits import wait_row
from celeriac.platform.store.sql_waking import lock_runs, resolve
from celeriac.platform.store.tables import run_events, run_keys, runs, waits

_MICROSECOND = timedelta(microseconds=1)

_KEY = ("tenant_id", "app", "function_id", "kind", "key")

#: how many keys are looked up in one statement: each is five of the parameters, of which it may have no endless number
_KEYS_AT_A_TIME = 1_000

#: the kinds of keys by which events are gathered, and those for which it matters whether the run has ended
_GATHER = ("debounce", "batch")
_OF_RUNS = (*_GATHER, "singleton")

#: what is written of a run that begins, with the types of Postgres
_OF_RUN = {
    **dict.fromkeys(("id", "tenant_id", "app", "function_id", "version", "queue", "event_id", "event_ids"), "text"),
    **dict.fromkeys(("parent_id", "status", "reason", "gate"), "text"),
    "is_internal": "bool",
    **dict.fromkeys(("created_at", "queued_at", "ended_at", "deadline", "time_limit"), "bigint"),
}

_COLUMNS = ", ".join(_OF_RUN)

#: the rows of runs as one value for each column; `of` may name where the events stand that they have to have
RUNS_ON_POSTGRES = f"""
INSERT INTO runs ({_COLUMNS})
SELECT {", ".join(f"r.{column}" for column in _OF_RUN)}
FROM unnest({", ".join(f"%s::{kind}[]" for kind in _OF_RUN.values())}) AS r ({_COLUMNS})
{{of}}
ON CONFLICT (id) DO NOTHING
RETURNING tenant_id, app, function_id"""

_BEGIN_ON_POSTGRES = f"WITH run AS ({RUNS_ON_POSTGRES.format(of='')}),{COUNTED_STARTS} SELECT FROM run LIMIT 1"

_RUN_ON_SQLITE = f"""
INSERT INTO runs ({_COLUMNS}) VALUES ({", ".join("?" * len(_OF_RUN))}) ON CONFLICT (id) DO NOTHING"""


def run_columns(starts: Iterable[Start], now: datetime) -> list[tuple[object, ...]]:
    """Return the values of the runs that begin, a row for each, in the order of the columns."""
    return [_run_row(start, now, queued_at) for start, queued_at in in_order(starts, now)]


def standing_for(connection: Connection, keys: Sequence[RunKey], beside: Iterable[str]) -> dict[RunKey, Standing]:
    """Return what stands for the keys, which this takes until the transaction ends.

    The runs that stand for them are locked together with those `beside`, which the caller is going to wake or end.
    """
    if not keys:
        return {}
    lock_names(connection, {("key", *_parts(key)) for key in keys}, "exclusive")
    rows = _rows_of(connection, keys)
    statuses = lock_runs(connection, {row.run_id for row in rows if row.kind in _OF_RUNS}.union(beside))
    gathering = _gathering(connection, {row.run_id for row in rows if row.kind in _GATHER})
    return {_key(row): _standing(row, row.run_id in gathering, row.run_id in statuses) for row in rows}


def _rows_of(connection: Connection, keys: Iterable[RunKey]) -> list[AnyRow]:
    place = tuple_(*(run_keys.c[column] for column in _KEY))
    parts = sorted({_parts(key) for key in keys})
    rows: list[AnyRow] = []
    for start in range(0, len(parts), _KEYS_AT_A_TIME):
        rows += connection.execute(select(run_keys).where(place.in_(parts[start : start + _KEYS_AT_A_TIME]))).all()
    return rows


def begin(connection: Connection, starts: Sequence[Start], now: datetime) -> None:
    """Insert the runs that begin."""
    rows = run_columns(starts, now)
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        columns = tuple(text_array(column) for column in zip(*rows, strict=True))
        connection.exec_driver_sql(_BEGIN_ON_POSTGRES, columns)
        return
    by_function: dict[tuple[Any, ...], list[tuple[object, ...]]] = {}
    for row in rows:
        by_function.setdefault(row[1:4], []).append(row)
    counted = []
    with straight(connection) as cursor:
        for (tenant_id, app, function_id), of_one in by_function.items():
            begun = cursor.executemany(_RUN_ON_SQLITE, of_one).rowcount
            counted.append(Counted(tenant_id=tenant_id, function=f"{app}/{function_id}", runs=begun))
    count(connection, counted)


def complete(connection: Connection, plan: Plan, begun: set[str], now: datetime) -> list[Queued]:
    """Write what hangs on the runs that have begun, join those that gather, and return all that are queued by it."""
    starts = [start for start in plan.starts.values() if start.run_id in begun]
    for one in starts:
        _hold(connection, one.run_id, one.arrival.tenant_id, one.waits(now), now)
    joined = [(one.run_id, one.arrival.tenant_id, one.gathered) for one in starts if one.gathered]
    queued = [
        queued_start(start, queued_at)
        for start, queued_at in in_order(plan.starts.values(), now)
        if start.status == "queued" and start.run_id in begun
    ]
    for join in plan.joins.values():
        joined.append((join.run_id, join.tenant_id, join.gathered))
        queued += _join(connection, join, now)
    told = [
        {"event_id": event_id, "run_id": run_id, "tenant_id": tenant_id}
        for run_id, tenant_id, gathered in joined
        for event_id in gathered
    ]
    insert_new(connection, run_events, told)
    _write_keys(connection, plan.keys)
    for gone in plan.unstarted:
        insert_events(connection, [_unstarted_row(gone, now)], gone.arrival.target or "")
    return queued


def queued_start(start: Start, queued_at: datetime) -> Queued:
    """Return a run that begins as the Gate has to know it."""
    return Queued(
        run_id=start.run_id,
        tenant_id=start.arrival.tenant_id,
        queue=start.function.queue,
        fence=1,
        is_internal=start.is_internal,
        function=start.function.name,
        queued_at=queued_at,
        **admission(start.gate),
    )


def _join(connection: Connection, join: Join, now: datetime) -> list[Queued]:
    place = runs.c.id == join.run_id
    changed: dict[Any, Any] = {runs.c.deadline: join.deadline}
    if join.function.rules.batch is not None:
        more = "," + json.dumps(join.gathered)[1:]
        changed[runs.c.event_ids] = func.substr(runs.c.event_ids, 1, func.length(runs.c.event_ids) - 1) + more
    if join.arrival is not None:
        changed[runs.c.event_id] = join.arrival.id
        changed[runs.c.gate] = freeze(join.function, join.arrival.visible)
        connection.execute(delete(waits).where(waits.c.run_id == join.run_id, waits.c.kind == "cancel"))
        cancels = cancelling_waits(
            join.function, join.arrival, since=min(now, join.arrival.received_at), begins_at=join.start_at
        )
        _hold(connection, join.run_id, join.tenant_id, cancels, now)
    connection.execute(update(runs).where(place).values(changed))
    begins = waits.c.run_id == join.run_id, waits.c.kind == "start"
    connection.execute(update(waits).where(*begins).values(wake_at=join.start_at))
    return resolve(connection, {(join.run_id, "", 0): None}) if join.is_full else []


def _hold(connection: Connection, run_id: str, tenant_id: str, held: Sequence[Wait], now: datetime) -> None:
    insert_new(connection, waits, [{**wait_row(run_id, tenant_id, wait), "created_at": now} for wait in held])


def _gathering(connection: Connection, run_ids: set[str]) -> set[str]:
    """Return those of the runs, which are locked, whose start nothing has woken, and no end has closed."""
    if not run_ids:
        return set()
    held = among(waits.c.run_id, sorted(run_ids)), waits.c.kind == "start", waits.c.resolved_at.is_(None)
    return set(connection.execute(select(waits.c.run_id).where(*held)).scalars())


def _write_keys(connection: Connection, keys: Mapping[RunKey, Standing]) -> None:
    if not keys:
        return
    new = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(run_keys)
    kept = {column.name: new.excluded[column.name] for column in run_keys.c if column.name not in _KEY}
    statement: Any = new.on_conflict_do_update(index_elements=[run_keys.c[name] for name in _KEY], set_=kept)
    connection.execute(statement, [_key_row(key, known) for key, known in sorted(keys.items())])


def _run_row(start: Start, now: datetime, queued_at: datetime) -> tuple[object, ...]:
    function, deadline, limit = start.function, start.deadline(now), start.function.rules.timeout
    moment = to_micros(now)
    return (
        start.run_id,
        start.arrival.tenant_id,
        function.app,
        function.function_id,
        function.version,
        function.queue,
        start.arrival.id,
        None if start.batch is None else json.dumps(start.batch),
        start.parent_id,
        start.status,
        start.reason,
        start.gate,
        start.is_internal,
        moment,
        to_micros(queued_at),
        moment if start.status == "skipped" else None,
        None if deadline is None else to_micros(deadline),
        None if limit is None else limit // _MICROSECOND,
    )


def _parts(key: RunKey) -> tuple[str, str, str, str, str]:
    return key.tenant_id, key.app, key.function_id, key.kind, key.key


def _key(row: AnyRow) -> RunKey:
    return RunKey(tenant_id=row.tenant_id, app=row.app, function_id=row.function_id, kind=row.kind, key=row.key)


def _key_row(key: RunKey, known: Standing) -> dict[str, Any]:
    return {
        **dict(zip(_KEY, _parts(key), strict=True)),
        "run_id": known.run_id,
        "gathered": known.count,
        "size": known.size,
        "begun_at": known.begun_at,
        "event_ts": known.event_ts,
        "expires_at": known.expires_at,
        "times": json.dumps([to_micros(one) for one in known.times]) if known.times else None,
    }


def _standing(row: AnyRow, is_gathering: bool, is_standing: bool) -> Standing:
    return Standing(
        run_id=row.run_id,
        expires_at=row.expires_at,
        count=row.gathered,
        size=row.size,
        begun_at=row.begun_at,
        event_ts=row.event_ts,
        is_gathering=is_gathering,
        is_standing=is_standing,
        times=[] if row.times is None else [from_micros(one) for one in json.loads(row.times)],
    )


def _unstarted_row(one: Unstarted, now: datetime) -> dict[str, Any]:
    event = unstarted_event(one)
    return {
        "id": event.id,
        "tenant_id": one.arrival.tenant_id,
        "name": event.name,
        "data": event.data,
        "ts": now,
        "received_at": now,
        "is_internal": event.is_internal,
        "run_id": one.run_id,
    }
