"""Runs in SQL: their moves, each a compare-and-set on status and fence, and the memos that a link replays from.

Almost every move is one statement, which is its own transaction. Steps are committed by `sql_journal.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, null, select, update

from celeriac.database import db_ago, db_now, reading, single, transaction
from celeriac.errors import NotFoundError
from celeriac.platform.durable.ending import ending_event
from celeriac.platform.durable.memo import Memo, OutgoingEvent
from celeriac.platform.durable.store import Claim, Ending, Link
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import FINAL, Run
from celeriac.platform.store.sql_part import SqlPart, insert_one
from celeriac.platform.store.sql_rows import QUEUED, AnyRow, queued_of, run_of
from celeriac.platform.store.sql_waking import close
from celeriac.platform.store.tables import events, runs, steps


def _of_its_event(column: str) -> ColumnElement[Any]:
    """Return a column of the run's event, where a statement may return columns of the run alone."""
    return select(events.c[column]).where(events.c.id == runs.c.event_id).scalar_subquery().label(f"event_{column}")


#: all of the run, and of its event what a claim carries
_CLAIMED = (
    *runs.c,
    _of_its_event("name"),
    _of_its_event("data"),
    _of_its_event("sender_id"),
    _of_its_event("ts"),
    _of_its_event("received_at"),
)


class SqlRuns(SqlPart):
    """The part of the store that moves runs."""

    def claim(self, run_id: str, worker_id: str, link: Link) -> Claim | None:
        statement = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.status == "queued")
            .values(
                status="running",
                fence=runs.c.fence + 1,
                worker_id=worker_id,
                claimed_at=db_now(),
                started_at=func.coalesce(runs.c.started_at, db_now()),
                links=runs.c.links + 1,
                link_id=link.id,
                root_id=func.coalesce(runs.c.root_id, link.root_id),
            )
            .returning(*_CLAIMED)
        )
        with single(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _claim_of(row, link)

    def refresh(self, claim: Claim) -> Claim | None:
        counts = (runs.c.steps, runs.c.waits, runs.c.wakes, runs.c.cancel_requested)
        with reading(self._engine) as connection:
            row = connection.execute(select(*counts).where(*held_by(claim))).one_or_none()
        if row is None:
            return None
        return replace(
            claim, steps=row.steps, waits=row.waits, wakes=row.wakes, cancel_requested=bool(row.cancel_requested)
        )

    def memos(self, claim: Claim) -> list[Memo]:
        columns = (steps.c.path, steps.c.kind, steps.c.seq, steps.c.value, steps.c.error)
        statement = (
            select(*columns)
            .where(steps.c.run_id == claim.run.id, steps.c.tenant_id == claim.run.tenant_id)
            .order_by(steps.c.seq)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
        return [Memo(path=path, kind=kind, seq=seq, value=value, error=error) for path, kind, seq, value, error in rows]

    def park(self, claim: Claim) -> bool:
        statement = (
            update(runs)
            .where(*held_by(claim), runs.c.wakes == claim.wakes, runs.c.cancel_requested.is_(False))
            .values(status="parked", worker_id=null())
            .returning(runs.c.id)
        )
        with single(self._engine) as connection:
            return connection.execute(statement).one_or_none() is not None

    def requeue(self, claim: Claim) -> Queued | None:
        statement = (
            update(runs)
            .where(*held_by(claim))
            .values(status="queued", worker_id=null(), queued_at=db_now())
            .returning(*QUEUED)
        )
        with single(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else queued_of(row)

    def finish(self, claim: Claim, ending: Ending, event: OutgoingEvent) -> bool:
        statement = (
            update(runs)
            .where(*held_by(claim))
            .values(
                status=ending.status,
                reason=ending.reason,
                output=ending.output,
                error_code=ending.error_code,
                error_message=ending.error_message,
                worker_id=null(),
                ended_at=db_now(),
            )
            .returning(runs.c.waits)
        )
        with transaction(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
            if row is None:
                return False
            if row.waits:
                close(connection, claim.run.id)
            _insert_event(connection, claim.run, event)
            return True

    def cancel(self, tenant_id: str, run_id: str) -> Run:
        place = (runs.c.id == run_id, runs.c.tenant_id == tenant_id)
        with transaction(self._engine) as connection:
            row = connection.execute(select(runs.c.status).where(*place).with_for_update()).one_or_none()
            if row is None:
                raise NotFoundError(f"There is no run {run_id!r}; look it up with `celeriac runs ls`")
            if row.status in FINAL:
                return _read(connection, run_id)
            if row.status == "running":
                # A wake too, so that a link which is about to park sees the flag instead.
                connection.execute(update(runs).where(*place).values(cancel_requested=True, wakes=runs.c.wakes + 1))
                return _read(connection, run_id)
            connection.execute(
                update(runs)
                .where(*place)
                .values(
                    status="cancelled",
                    reason="cancelled",
                    fence=runs.c.fence + 1,
                    cancel_requested=True,
                    ended_at=db_now(),
                )
            )
            close(connection, run_id)
            run = _read(connection, run_id)
            _insert_event(connection, run, ending_event(run))
            return run

    def stranded(self, *, older_than: timedelta, most: int = 500) -> list[Queued]:
        statement = (
            select(*QUEUED)
            .where(runs.c.status == "queued", runs.c.queued_at <= db_ago(older_than))
            .order_by(runs.c.queued_at)
            .limit(most)
        )
        with reading(self._engine) as connection:
            return [queued_of(row) for row in connection.execute(statement)]


def held_by(claim: Claim) -> Sequence[ColumnElement[bool]]:
    """Return the condition under which the claim is still a right."""
    return (
        runs.c.id == claim.run.id,
        runs.c.tenant_id == claim.run.tenant_id,
        runs.c.fence == claim.fence,
        runs.c.status == "running",
    )


def _claim_of(row: AnyRow, link: Link) -> Claim:
    return Claim(
        run=run_of(row),
        event=Event(
            row.event_name, json.loads(row.event_data), id=row.event_sender_id or row.event_id, ts=row.event_ts
        ),
        event_received_at=row.event_received_at,
        queue=row.queue,
        is_internal=bool(row.is_internal),
        version=row.version,
        fence=row.fence,
        steps=row.steps,
        waits=row.waits,
        wakes=row.wakes,
        cancel_requested=bool(row.cancel_requested),
        link=Link(id=link.id, root_id=row.root_id),
    )


def _read(connection: Connection, run_id: str) -> Run:
    return run_of(connection.execute(select(runs).where(runs.c.id == run_id)).one())


def _insert_event(connection: Connection, run: Run, event: OutgoingEvent) -> None:
    insert_one(
        connection,
        events,
        {
            "id": event.id,
            "tenant_id": run.tenant_id,
            "name": event.name,
            "data": event.data,
            "ts": db_now() if event.ts is None else event.ts,
            "received_at": db_now(),
            "is_internal": event.is_internal,
            "run_id": run.id,
        },
    )
