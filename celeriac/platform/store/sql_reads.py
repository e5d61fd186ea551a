"""What people see of runs, from SQL. Every statement is bound to one tenant; nothing here writes or locks."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, or_, select

from celeriac.database import from_micros, reading, to_micros
from celeriac.errors import NotFoundError
from celeriac.platform.durable.reads import Page, RunFilter, RunView
from celeriac.platform.durable.tree import AttemptRecord, StepRecord, step_tree, waiting_words
from celeriac.platform.run import Run
from celeriac.platform.store.sql_rows import AnyRow, event_of, run_of
from celeriac.platform.store.sql_waits import wait_with_event, waits_of
from celeriac.platform.store.tables import attempts, events, functions, runs, steps


class SqlReads:
    """`Reads` over an engine of `celeriac.database.connect`."""

    def __init__(self, engine: Engine) -> None:
        """Read from this database."""
        self._engine = engine

    def runs(self, tenant_id: str, where: RunFilter, *, limit: int = 20, cursor: str | None = None) -> Page:
        statement = _filtered(tenant_id, where)
        if cursor is not None:
            micros, run_id = _decode_cursor(cursor)
            before = from_micros(micros)
            statement = statement.where(
                or_(runs.c.created_at < before, and_(runs.c.created_at == before, runs.c.id < run_id))
            )
        statement = statement.order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit + 1)
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
        has_more = len(rows) > limit
        rows = rows[:limit]
        return Page(runs=[run_of(row) for row in rows], next_cursor=_encode_cursor(rows[-1]) if has_more else None)

    def run(self, tenant_id: str, run_id: str) -> Run:
        with reading(self._engine) as connection:
            return run_of(_row_of(connection, tenant_id, run_id))

    def view(self, tenant_id: str, run_id: str) -> RunView:
        with reading(self._engine) as connection:
            row = _row_of(connection, tenant_id, run_id)
            event = connection.execute(
                select(events).where(events.c.id == row.event_id, events.c.tenant_id == tenant_id)
            ).one_or_none()
            waits = [wait_with_event(one) for one in connection.execute(waits_of(tenant_id, run_id))]
            committed = _steps_of(connection, tenant_id, run_id)
            tree = step_tree(committed, _attempts_of(connection, tenant_id, run_id), waits)
            retries = connection.execute(
                select(functions.c.retries).where(
                    functions.c.app == row.app, functions.c.function_id == row.function_id
                )
            ).scalar_one_or_none()
        run = run_of(row)
        allowed = None if retries is None else retries + 1
        return RunView(
            run=run,
            event=None if event is None else event_of(event),
            steps=tree,
            waits=waits,
            waiting_for=waiting_words(run.status, waits, attempts_allowed=allowed),
            root_id=row.root_id,
        )

    def event_runs(self, tenant_id: str, event_id: str) -> list[Run]:
        known = select(events.c.id).where(events.c.id == event_id, events.c.tenant_id == tenant_id)
        statement = (
            select(runs).where(runs.c.tenant_id == tenant_id, runs.c.event_id == event_id).order_by(*_OLDEST_FIRST)
        )
        with reading(self._engine) as connection:
            if connection.execute(known).one_or_none() is None:
                raise NotFoundError(f"There is no event {event_id!r}; its id is in the answer to its submission")
            return [run_of(row) for row in connection.execute(statement)]

    def functions(self, tenant_id: str) -> Sequence[str]:
        statement = select(runs.c.function_id).where(runs.c.tenant_id == tenant_id).distinct()
        with reading(self._engine) as connection:
            return sorted(connection.execute(statement).scalars())


_OLDEST_FIRST = (runs.c.created_at, runs.c.id)


def _filtered(tenant_id: str, where: RunFilter) -> Select[*tuple[Any, ...]]:
    statement = select(runs).where(runs.c.tenant_id == tenant_id)
    if where.status is not None:
        statement = statement.where(runs.c.status == where.status)
    if where.function_id is not None:
        statement = statement.where(runs.c.function_id == where.function_id)
    if where.event_id is not None:
        statement = statement.where(runs.c.event_id == where.event_id)
    return statement


def _row_of(connection: Connection, tenant_id: str, run_id: str) -> AnyRow:
    row = connection.execute(select(runs).where(runs.c.id == run_id, runs.c.tenant_id == tenant_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no run {run_id!r}; `celeriac runs ls` shows them")
    return row


def _steps_of(connection: Connection, tenant_id: str, run_id: str) -> list[StepRecord]:
    found = connection.execute(
        select(steps).where(steps.c.run_id == run_id, steps.c.tenant_id == tenant_id).order_by(steps.c.seq)
    )
    return [
        StepRecord(
            path=row.path,
            kind=row.kind,
            seq=row.seq,
            value=row.value,
            error=row.error,
            input=row.input,
            attempt=row.attempt,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )
        for row in found
    ]


def _attempts_of(connection: Connection, tenant_id: str, run_id: str) -> list[AttemptRecord]:
    found = connection.execute(select(attempts).where(attempts.c.run_id == run_id, attempts.c.tenant_id == tenant_id))
    return [
        AttemptRecord(
            path=row.path, number=row.number, error=row.error, started_at=row.started_at, ended_at=row.ended_at
        )
        for row in found
    ]


def _encode_cursor(row: AnyRow) -> str:
    text = json.dumps([to_micros(row.created_at), row.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[int, str]:
    """Read back a cursor; raise `ValueError` for one that this file has not written."""
    try:
        micros, run_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError, TypeError) as error:
        raise ValueError(f"{cursor[:40]!r} is no cursor; take it from a page's next_cursor") from error
    if not (
        isinstance(micros, int)
        and abs(micros) < 2**53
        and isinstance(run_id, str)
        and run_id.isascii()
        and run_id.isprintable()
    ):
        raise ValueError(f"{cursor[:40]!r} is no cursor; take it from a page's next_cursor")
    return micros, run_id
