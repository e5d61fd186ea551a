"""Claims in SQL: the moves from queued to running, of one run or of many in one statement.

The statement is written as text, as each link begins with it. Postgres takes a group at once; SQLite takes one run
after the other in one transaction. The rows of a group are locked in the order of their ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from celeriac.database import NOW, from_micros, single, straight, transaction
from celeriac.platform.durable.store import Claim, ClaimWish, Link
from celeriac.platform.event import Event
from celeriac.platform.message import Usage
from celeriac.platform.run import Run
from celeriac.platform.store.sql_counting import COUNTED_CLAIMS, Counted, count
from celeriac.platform.store.sql_part import SqlPart, among, text_array
from celeriac.platform.store.sql_rows import event_of
from celeriac.platform.store.tables import events

_USAGE = (
    "model_calls",
    "tool_calls",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
)

#: what is returned of a claimed run; `_claim_of` reads the columns in this order
_OF_RUN = (
    *("id", "tenant_id", "app", "function_id", "version", "queue", "event_id", "event_ids", "is_internal", "fence"),
    *("steps", "waits", "wakes", "cancel_requested", "cancel_reason", "suspicion", "overrides", "root_id", "links"),
    *("created_at", "started_at", "queued_at", "claimed_at", *_USAGE, "rerun_of", "parent_id", "gate"),
)
_OF_EVENT = ("name", "data", "sender_id", "ts", "received_at")


def _moved(now: str, worker: str, link: str, root: str, run: str = "") -> str:
    """Return what is set; `run` stands before the columns of the row as it was."""
    return f"""
    status = 'running', reason = NULL, fence = {run}fence + 1, worker_id = {worker}, claimed_at = {now},
    deadline = CASE WHEN {run}started_at IS NULL THEN {now} + {run}time_limit ELSE {run}deadline END,
    started_at = coalesce({run}started_at, {now}), links = {run}links + 1, link_id = {link},
    root_id = coalesce({run}root_id, {root})"""


_CLAIM_ON_SQLITE = f"""
UPDATE runs SET {_moved(NOW["sqlite"], "?", "?", "?")}
WHERE id = ? AND status = 'queued' AND fence + 1 = coalesce(?, fence + 1)
RETURNING {", ".join(_OF_RUN)},
    {", ".join(f"(SELECT e.{column} FROM events e WHERE e.id = event_id)" for column in _OF_EVENT)}"""

_RETURNING = ", ".join([*(f"r.{column}" for column in _OF_RUN), *(f"e.{column}" for column in _OF_EVENT)])

_MOVED = _moved(NOW["postgresql"], "%s", "w.by_link", "w.by_root", "r.")

#: a message that is old names a fence that is gone
_FENCE = "r.fence + 1 = coalesce(w.by_fence, r.fence + 1)"

_CLAIM_ONE = f"""
WITH claimed AS (
    UPDATE runs r SET {_MOVED}
    FROM (SELECT %s::text AS run_id, %s::text AS by_link, %s::text AS by_root, %s::int AS by_fence) AS w, events e
    WHERE r.id = w.run_id AND r.status = 'queued' AND {_FENCE} AND e.id = r.event_id
    RETURNING {_RETURNING}
),{COUNTED_CLAIMS}
SELECT * FROM claimed"""

_CLAIM_GROUP = f"""
WITH w AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[]) AS t (run_id, by_link, by_root, by_fence)
),
held AS MATERIALIZED (
    SELECT r.id FROM runs r JOIN w ON w.run_id = r.id
    WHERE r.status = 'queued' AND {_FENCE} ORDER BY r.id FOR NO KEY UPDATE OF r
),
claimed AS (
    UPDATE runs r SET {_MOVED}
    FROM w JOIN held ON held.id = w.run_id, events e
    WHERE r.id = w.run_id AND r.status = 'queued' AND e.id = r.event_id
    RETURNING {_RETURNING}
),{COUNTED_CLAIMS}
SELECT * FROM claimed"""


class SqlClaims(SqlPart):
    """The part of the store that gives links the right to execute."""

    def claim(self, run_id: str, worker_id: str, link: Link) -> Claim | None:
        return self.claim_all([ClaimWish(run_id=run_id, link=link)], worker_id)[0]

    def claim_all(self, wishes: Sequence[ClaimWish], worker_id: str) -> list[Claim | None]:
        once: dict[str, ClaimWish] = {}
        for wish in wishes:  # of two that name different fences the older is an old message's
            known = once.setdefault(wish.run_id, wish)
            if (wish.link.fence or 0) > (known.link.fence or 0):
                once[wish.run_id] = wish
        if self._is_postgres:
            with single(self._engine) as connection:
                claimed = self._with_batches(connection, _claim_on_postgres(connection, list(once.values()), worker_id))
        else:
            with transaction(self._engine) as connection:
                claimed = self._with_batches(connection, _claim_on_sqlite(connection, once.values(), worker_id))
        # A message that came twice claims once: the first of them has it.
        return [claimed.pop(wish.run_id, None) if once[wish.run_id] is wish else None for wish in wishes]

    def _with_batches(self, connection: Connection, rows: Mapping[str, tuple[Any, Link]]) -> dict[str, Claim]:
        listed = {run_id: json.loads(row[7]) for run_id, (row, _) in rows.items() if row[7] is not None}
        found: dict[str, Event] = {}
        if listed:
            ids = sorted({event_id for ids in listed.values() for event_id in ids})
            for row in connection.execute(select(events).where(among(events.c.id, ids))):
                found[row.id] = event_of(row)
        return {
            run_id: _claim_of(row, link, [found[one] for one in listed.get(run_id, ())])
            for run_id, (row, link) in rows.items()
        }


def _claim_on_postgres(
    connection: Connection, wishes: Sequence[ClaimWish], worker_id: str
) -> dict[str, tuple[Any, Link]]:
    if len(wishes) == 1:
        [wish] = wishes
        named = (worker_id, wish.run_id, wish.link.id, wish.link.root_id, wish.link.fence)
        rows = connection.exec_driver_sql(_CLAIM_ONE, named).all()
    else:
        columns = zip(*((one.run_id, one.link.id, one.link.root_id, one.link.fence) for one in wishes), strict=True)
        rows = connection.exec_driver_sql(_CLAIM_GROUP, (*map(text_array, columns), worker_id)).all()
    links = {wish.run_id: wish.link for wish in wishes}
    return {row[0]: (row, links[row[0]]) for row in rows}


def _claim_on_sqlite(
    connection: Connection, wishes: Iterable[ClaimWish], worker_id: str
) -> dict[str, tuple[Any, Link]]:
    claimed: dict[str, tuple[Any, Link]] = {}
    with straight(connection) as cursor:
        for wish in wishes:
            named = (worker_id, wish.link.id, wish.link.root_id, wish.run_id, wish.link.fence)
            for row in cursor.execute(_CLAIM_ON_SQLITE, named).fetchall():
                claimed[wish.run_id] = (row, wish.link)
    rows = [row for row, _ in claimed.values()]
    count(connection, [Counted(tenant_id=row[1], function=f"{row[2]}/{row[3]}", links=1) for row in rows])
    return claimed


def _claim_of(row: Any, link: Link, batch: Sequence[Event]) -> Claim:
    """Make the Claim of a row; times are microseconds, flags may be numbers."""
    run_id, tenant_id, app, function_id, version, queue, event_id, _, is_internal, fence = row[:10]
    steps, waits, wakes, cancel_requested, cancel_reason, suspicion, overrides, root_id, links = row[10:19]
    created_at, started_at, queued_at, claimed_at = row[19:23]
    rerun_of, parent_id, gate = row[30:33]
    name, data, sender_id, ts, received_at = row[33:]
    run = Run(
        id=run_id,
        tenant_id=tenant_id,
        app=app,
        function_id=function_id,
        event_id=event_id,
        status="running",
        usage=Usage(**dict(zip(_USAGE, row[23:30], strict=True))),
        links=links,
        version=version,
        rerun_of=rerun_of,
        parent_id=parent_id,
        created_at=from_micros(created_at),
        started_at=from_micros(started_at),
    )
    event = Event(name, json.loads(data), id=sender_id or event_id, ts=from_micros(ts))
    return Claim(
        run=run,
        event=event,
        event_received_at=from_micros(received_at),
        events=tuple(batch),
        queue=queue,
        is_internal=bool(is_internal),
        version=version,
        fence=fence,
        steps=steps,
        waits=waits,
        wakes=wakes,
        cancel_requested=bool(cancel_requested),
        cancel_reason=cancel_reason,
        suspicion=suspicion,
        overrides={} if overrides is None else json.loads(overrides),
        gate=gate,
        link=Link(id=link.id, root_id=root_id),
        queued_for=timedelta(microseconds=claimed_at - queued_at),
    )
