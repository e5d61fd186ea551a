"""What people see of runs and of the fleet, from SQL. A read of runs is bound to one tenant; none writes or locks."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, or_, select

from celeriac.database import db_ago, from_micros, reading, to_micros
from celeriac.errors import NotFoundError
from celeriac.platform.durable.reads import Page, RunFilter, RunView
from celeriac.platform.durable.store import Worker
from celeriac.platform.durable.tree import AttemptRecord, StepRecord, step_tree, waiting_words
from celeriac.platform.run import Run
from celeriac.platform.store.sql_rows import WAIT, AnyRow, event_of, run_of, wait_of, worker_of
from celeriac.platform.store.sql_waits import wait_with_event, waits_of
from celeriac.platform.store.tables import attempts, events, functions, runs, steps, waits, workers


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
            found = [wait_with_event(one) for one in connection.execute(waits_of(tenant_id, run_id))]
            committed = _steps_of(connection, tenant_id, run_id)
            tree = step_tree(committed, _attempts_of(connection, tenant_id, run_id), found)
            retries = connection.execute(
                select(functions.c.retries).where(
                    functions.c.app == row.app, functions.c.function_id == row.function_id
                )
            ).scalar_one_or_none()
        run = run_of(row)
        return RunView(
            run=run,
            event=None if event is None else event_of(event),
            steps=tree,
            waits=found,
            waiting_for=waiting_words(run.status, found, attempts_allowed=_allowed(retries)),
            root_id=row.root_id,
        )

    def reasons(self, tenant_id: str, run_ids: Sequence[str]) -> dict[str, str]:
        if not run_ids:
            return {}
        with reading(self._engine) as connection:
            rows = connection.execute(_WAITING.where(runs.c.tenant_id == tenant_id, runs.c.id.in_(run_ids))).all()
        of_run: defaultdict[str, list[AnyRow]] = defaultdict(list)
        for row in rows:
            of_run[row.id].append(row)
        reasons = {}
        for run_id, (first, *more) in of_run.items():
            open_waits = [] if first.path is None else [wait_of(row) for row in (first, *more)]
            words = waiting_words(first.status, open_waits, attempts_allowed=_allowed(first.retries))
            if words is not None:
                reasons[run_id] = words
        return reasons

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

    def workers(self, seen_within: timedelta) -> list[Worker]:
        statement = select(workers).where(workers.c.seen_at > db_ago(seen_within)).order_by(workers.c.id)
        with reading(self._engine) as connection:
            return [worker_of(row) for row in connection.execute(statement)]


_OLDEST_FIRST = (runs.c.created_at, runs.c.id)

#: runs, each once for every wait of its that is open, or once without one
_WAITING = select(runs.c.id, runs.c.status, functions.c.retries, *WAIT).select_from(
    runs.outerjoin(
        functions, and_(functions.c.app == runs.c.app, functions.c.function_id == runs.c.function_id)
    ).outerjoin(
        waits, and_(waits.c.run_id == runs.c.id, waits.c.tenant_id == runs.c.tenant_id, waits.c.resolved_at.is_(None))
    )
)


def _allowed(retries: int | None) -> int | None:
    """Return how many attempts a step has; None for a function that is declared no more."""
    return None if retries is None else retries + 1


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
