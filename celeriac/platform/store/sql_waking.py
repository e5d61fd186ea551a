"""Waking: resolves waits and moves their runs, for whoever has a reason to.

Ingest brings events, the tick brings the time. A wake raises `wakes` in any case, so that a run which is about to park
replays instead, and moves a parked run to queued. Always called inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, or_, select, update

from celeriac.database import STATEMENT_NOW, db_now, straight
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_part import among, text_array
from celeriac.platform.store.sql_rows import QUEUED, AnyRow, queued_of
from celeriac.platform.store.tables import runs, waits

#: (run, path, number)
WaitKey = tuple[str, str, int]

_KEY = (waits.c.run_id, waits.c.path, waits.c.number)

_RESOLVE_ON_POSTGRES = f"""
UPDATE waits w SET resolved_at = {STATEMENT_NOW["postgresql"]}, event_id = t.event_id
FROM unnest(%s::text[], %s::text[], %s::int[], %s::text[]) AS t (run_id, path, number, event_id)
WHERE w.run_id = t.run_id AND w.path = t.path AND w.number = t.number AND w.resolved_at IS NULL"""

_RESOLVE_ON_SQLITE = f"""
UPDATE waits SET resolved_at = {STATEMENT_NOW["sqlite"]}, event_id = ?4
WHERE run_id = ?1 AND path = ?2 AND number = ?3 AND resolved_at IS NULL"""


def resolve(connection: Connection, found: Mapping[WaitKey, str | None], *, skip_locked: bool = False) -> list[Queued]:
    """Resolve open waits, each by the event with that id or by its time, and return the runs that are queued by it.

    Waits that were resolved meanwhile, and those of ended runs, stay as they are; with `skip_locked` also those of
    runs that somebody else is changing.
    """
    if not found:
        return []
    statuses = lock_runs(connection, {key[0] for key in found}, skip_locked=skip_locked)
    # The start of a run that gathers events may have been put off by one of them since somebody looked.
    is_over = or_(waits.c.kind != "start", waits.c.wake_at <= db_now())
    found_open = select(*_KEY).where(among(waits.c.run_id, statuses), waits.c.resolved_at.is_(None), is_over)
    resolved = [key for row in connection.execute(found_open) if (key := (row.run_id, row.path, row.number)) in found]
    if not resolved:
        return []
    _resolve(connection, {key: found[key] for key in resolved})
    return _wake(connection, {run: statuses[run] for run, _, _ in resolved})


def end_quietly(connection: Connection, found: Mapping[WaitKey, str | None], *, skip_locked: bool = False) -> None:
    """Resolve open waits that nobody stands still for, each by the event with that id or by its time.

    Their runs, which may have ended, are not woken. The caller has locked them; or it has not, and with `skip_locked`
    those stay as they are that somebody else is changing.
    """
    if skip_locked and found:
        of_found = select(runs.c.id).where(among(runs.c.id, sorted({key[0] for key in found}))).order_by(runs.c.id)
        free = set(connection.execute(of_found.with_for_update(skip_locked=True)).scalars())
        found = {key: event_id for key, event_id in found.items() if key[0] in free}
    if found:
        _resolve(connection, found)


def close(connection: Connection, run_id: str) -> None:
    """Resolve the open waits of a run that has ended, so that nothing wakes for it."""
    connection.execute(
        update(waits).where(waits.c.run_id == run_id, waits.c.resolved_at.is_(None)).values(resolved_at=db_now())
    )


def lock_runs(connection: Connection, run_ids: set[str], *, skip_locked: bool = False) -> dict[str, str]:
    """Lock those of the runs that have not ended, in the order of their ids; return the status of each."""
    statement = (
        select(runs.c.id, runs.c.status)
        .where(among(runs.c.id, sorted(run_ids)), runs.c.status.in_(("queued", "running", "parked")))
        .order_by(runs.c.id)
        .with_for_update(skip_locked=skip_locked)
    )
    return {row.id: row.status for row in connection.execute(statement)}


def _resolve(connection: Connection, found: Mapping[WaitKey, str | None]) -> None:
    rows = sorted((*key, event_id) for key, event_id in found.items())
    if connection.dialect.name == "postgresql":
        columns = tuple(text_array(column) for column in zip(*rows, strict=True))
        connection.exec_driver_sql(_RESOLVE_ON_POSTGRES, columns)
        return
    with straight(connection) as cursor:
        cursor.executemany(_RESOLVE_ON_SQLITE, rows)


def _wake(connection: Connection, statuses: Mapping[str, str]) -> list[Queued]:
    parked = [run_id for run_id, status in statuses.items() if status == "parked"]
    others = [run_id for run_id, status in statuses.items() if status != "parked"]
    if others:
        connection.execute(update(runs).where(among(runs.c.id, others)).values(wakes=runs.c.wakes + 1))
    if not parked:
        return []
    moved: list[AnyRow] = list(
        connection.execute(
            update(runs)
            .where(among(runs.c.id, parked))
            .values(wakes=runs.c.wakes + 1, status="queued", queued_at=db_now())
            .returning(*QUEUED)
        )
    )
    return [queued_of(row) for row in moved]
