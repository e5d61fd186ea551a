"""What people see of runs and of the fleet, from SQL. A read of runs is bound to one tenant; none writes or locks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from sqlalchemy import Connection, Engine, and_, func, select, union

from celeriac.database import db_ago, reading
from celeriac.errors import NotFoundError
from celeriac.platform.durable.asked import ApprovalPage
from celeriac.platform.durable.reads import FunctionView, Load, Page, RunView
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.durable.store import Worker
from celeriac.platform.durable.tree import AttemptRecord, StepRecord, step_tree, waiting_words
from celeriac.platform.run import Run
from celeriac.platform.store.sql_approvals import next_approvals
from celeriac.platform.store.sql_functions import declared_functions
from celeriac.platform.store.sql_rows import WAIT, AnyRow, event_of, run_of, wait_of, worker_of
from celeriac.platform.store.sql_run_filter import (
    Place,
    before,
    chunks_before,
    conditions,
    decode_place,
    encode_place,
    is_chosen,
    looked_at,
    place_of,
)
from celeriac.platform.store.sql_waits import wait_with_event, waits_of
from celeriac.platform.store.tables import attempts, events, functions, run_events, runs, steps, waits, workers

#: by which index runs of these statuses are found
_STANDING = {
    "running": runs.c.worker_id.is_not(None),
    "queued": runs.c.status == "queued",
    "parked": runs.c.status == "parked",
}


class SqlReads:
    """`Reads` over an engine of `celeriac.database.connect`."""

    def __init__(self, engine: Engine, *, walled: Engine | None = None) -> None:
        """Read from this database; `walled` is its side on which a tenant has to be named.

        All but what operators ask of all tenants goes through that.
        """
        self._engine, self._walled = engine, walled or engine

    def runs(self, tenant_id: str, where: RunFilter, *, limit: int = 20, cursor: str | None = None) -> Page:
        place = None if cursor is None else decode_place(cursor)
        with reading(self._walled, tenant_id) as connection:
            if where.if_ is None:
                found, place = _next_runs(connection, tenant_id, where, place, limit)
            else:
                found, place = _next_chosen(connection, tenant_id, where, place, limit)
        return Page(
            runs=[run_of(row) for row in found],
            next_cursor=None if place is None else encode_place(place),
        )

    def run(self, tenant_id: str, run_id: str) -> Run:
        with reading(self._walled, tenant_id) as connection:
            return run_of(_row_of(connection, tenant_id, run_id))

    def view(self, tenant_id: str, run_id: str) -> RunView:
        with reading(self._walled, tenant_id) as connection:
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
        with reading(self._walled, tenant_id) as connection:
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

    def approvals(
        self, tenant_id: str, *, run_id: str | None = None, limit: int = 20, cursor: str | None = None
    ) -> ApprovalPage:
        place = None if cursor is None else decode_place(cursor)
        with reading(self._walled, tenant_id) as connection:
            found, place = next_approvals(connection, tenant_id, run_id, place, limit)
        return ApprovalPage(approvals=found, next_cursor=None if place is None else encode_place(place))

    def event_runs(self, tenant_id: str, event_id: str) -> list[Run]:
        known = select(events.c.id).where(events.c.id == event_id, events.c.tenant_id == tenant_id)
        started = select(runs.c.id).where(runs.c.tenant_id == tenant_id, runs.c.event_id == event_id)
        joined = select(run_events.c.run_id).where(run_events.c.event_id == event_id)
        statement = select(runs).where(runs.c.tenant_id == tenant_id, runs.c.id.in_(union(started, joined)))
        statement = statement.order_by(*_OLDEST_FIRST)
        with reading(self._walled, tenant_id) as connection:
            if connection.execute(known).one_or_none() is None:
                raise NotFoundError(f"There is no event {event_id!r}; its id is in the answer to its submission")
            return [run_of(row) for row in connection.execute(statement)]

    def functions(self, tenant_id: str) -> Sequence[str]:
        statement = select(runs.c.function_id).where(runs.c.tenant_id == tenant_id).distinct()
        with reading(self._walled, tenant_id) as connection:
            return sorted(connection.execute(statement).scalars())

    def declared(self, tenant_id: str) -> list[FunctionView]:
        with reading(self._walled, tenant_id) as connection:
            return declared_functions(connection, tenant_id)

    def queued_runs(self, tenant_id: str) -> int:
        place = (runs.c.tenant_id == tenant_id, runs.c.status == "queued")
        with reading(self._walled, tenant_id) as connection:
            return connection.execute(select(func.count()).select_from(runs).where(*place)).scalar_one()

    def loads(self) -> dict[str, Load]:
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        with reading(self._engine) as connection:
            for status, where in _STANDING.items():
                statement = select(runs.c.tenant_id, func.count().label("many")).where(where)
                for row in connection.execute(statement.group_by(runs.c.tenant_id)):
                    found[row.tenant_id][status] = row.many
        return {tenant_id: Load(**counts) for tenant_id, counts in found.items()}

    def workers(self, seen_within: timedelta) -> list[Worker]:
        statement = select(workers).where(workers.c.seen_at > db_ago(seen_within)).order_by(workers.c.id)
        with reading(self._walled) as connection:
            return [worker_of(row) for row in connection.execute(statement)]


_OLDEST_FIRST = (runs.c.created_at, runs.c.id)
_NEWEST_FIRST = (runs.c.created_at.desc(), runs.c.id.desc())

#: how many runs an expression is asked about for one page, and how often so many
_LOOK, _LOOKS = 50, 40

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


def _next_runs(
    connection: Connection, tenant_id: str, where: RunFilter, place: Place | None, limit: int
) -> tuple[list[AnyRow], Place | None]:
    """Return the runs before the place, and the place where there are more."""
    statement = select(runs).where(*conditions(tenant_id, where), *(() if place is None else (before(place),)))
    rows = connection.execute(statement.order_by(*_NEWEST_FIRST).limit(limit + 1)).all()
    return list(rows[:limit]), place_of(rows[limit - 1]) if len(rows) > limit else None


def _next_chosen(
    connection: Connection, tenant_id: str, where: RunFilter, place: Place | None, limit: int
) -> tuple[list[AnyRow], Place | None]:
    """Return those before the place of which the expression is true, out of so many that are looked at."""
    chosen: list[AnyRow] = []
    looked = looked_at(where).where(*conditions(tenant_id, where))
    for rows in islice(chunks_before(connection, looked, place, size=_LOOK), _LOOKS):
        chosen += [row for row in rows if is_chosen(where, row)]
        place = place_of(rows[-1]) if len(rows) == _LOOK else None
        if len(chosen) > limit:  # one more, to know that there is one
            chosen = chosen[:limit]
            place = place_of(chosen[-1])
            break
    ids = [row.id for row in chosen]
    whole = {row.id: row for row in connection.execute(select(runs).where(runs.c.id.in_(ids)))} if ids else {}
    return [whole[id] for id in ids if id in whole], place


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
