"""Waking: resolves waits and moves their runs, for whoever has a reason to.

Ingest brings events, the tick brings the time. A wake raises `wakes` in any case, so that a run which is about to park
replays instead, and moves a parked run to queued. Always called inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, or_, select, update

from celeriac.database import db_now
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_rows import QUEUED, AnyRow, queued_of
from celeriac.platform.store.tables import runs, waits

#: (run, path, number)
WaitKey = tuple[str, str, int]

_RESOLVE = (
    update(waits)
    .where(
        waits.c.run_id == bindparam("in_run"),
        waits.c.path == bindparam("at_path"),
        waits.c.number == bindparam("of_number"),
    )
    .values(resolved_at=db_now(), event_id=bindparam("by_event"))
)


def resolve(connection: Connection, found: Mapping[WaitKey, str | None], *, skip_locked: bool = False) -> list[Queued]:
    """Resolve open waits, each by the event with that id or by its time, and return the runs that are queued by it.

    Waits that were resolved meanwhile, and those of ended runs, stay as they are; with `skip_locked` also those of
    runs that somebody else is changing.
    """
    if not found:
        return []
    statuses = lock_runs(connection, {key[0] for key in found}, skip_locked=skip_locked)
    key = (waits.c.run_id, waits.c.path, waits.c.number)
    # The start of a run that gathers events may have been put off by one of them since somebody looked.
    is_over = or_(waits.c.kind != "start", waits.c.wake_at <= db_now())
    found_open = select(*key).where(waits.c.run_id.in_(statuses), waits.c.resolved_at.is_(None), is_over)
    open_ones = connection.execute(found_open)
    resolved = [tuple(row) for row in open_ones if tuple(row) in found]
    if not resolved:
        return []
    connection.execute(
        _RESOLVE,
        [
            {"in_run": run, "at_path": path, "of_number": n, "by_event": found[run, path, n]}
            for run, path, n in resolved
        ],
    )
    return _wake(connection, {run: statuses[run] for run, _, _ in resolved})


def end_quietly(connection: Connection, found: Mapping[WaitKey, str | None]) -> None:
    """Resolve open waits that nobody stands still for, each by the event with that id or by its time.

    Their runs are not woken.
    """
    if found:
        named = [
            {"in_run": run, "at_path": path, "of_number": number, "by_event": event_id}
            for (run, path, number), event_id in found.items()
        ]
        connection.execute(_RESOLVE.where(waits.c.resolved_at.is_(None)), named)


def close(connection: Connection, run_id: str) -> None:
    """Resolve the open waits of a run that has ended, so that nothing wakes for it."""
    connection.execute(
        update(waits).where(waits.c.run_id == run_id, waits.c.resolved_at.is_(None)).values(resolved_at=db_now())
    )


def lock_runs(connection: Connection, run_ids: set[str], *, skip_locked: bool = False) -> dict[str, str]:
    """Lock those of the runs that have not ended, in the order of their ids; return the status of each."""
    statement = (
        select(runs.c.id, runs.c.status)
        .where(runs.c.id.in_(sorted(run_ids)), runs.c.status.in_(("queued", "running", "parked")))
        .order_by(runs.c.id)
        .with_for_update(skip_locked=skip_locked)
    )
    return {row.id: row.status for row in connection.execute(statement)}


def _wake(connection: Connection, statuses: Mapping[str, str]) -> list[Queued]:
    parked = [run_id for run_id, status in statuses.items() if status == "parked"]
    others = [run_id for run_id, status in statuses.items() if status != "parked"]
    if others:
        connection.execute(update(runs).where(runs.c.id.in_(others)).values(wakes=runs.c.wakes + 1))
    if not parked:
        return []
    moved: list[AnyRow] = list(
        connection.execute(
            update(runs)
            .where(runs.c.id.in_(parked))
            .values(wakes=runs.c.wakes + 1, status="queued", queued_at=db_now())
            .returning(*QUEUED)
        )
    )
    return [queued_of(row) for row in moved]
