"""Cancelling in SQL: ends runs that somebody, an event or a deadline wants to end.

A queued or parked run ends here and now, as no link executes it. A running one is flagged: its worker ends it. Whoever
is first says why.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, case, func, select, update

from celeriac.database import db_now, reading, transaction
from celeriac.errors import NotFoundError
from celeriac.platform.durable.store import Ending
from celeriac.platform.run import FINAL, Run
from celeriac.platform.store.sql_endings import end_at_once
from celeriac.platform.store.sql_part import SqlPart, among
from celeriac.platform.store.sql_rows import run_of
from celeriac.platform.store.tables import runs

_IS_LATE = (runs.c.deadline.is_not(None), runs.c.deadline <= db_now())

_LATE = select(runs.c.id).where(*_IS_LATE).order_by(runs.c.deadline).limit(bindparam("most"))

#: why a run that is past its deadline is cancelled
_LATENESS = case((runs.c.started_at.is_(None), "start_timeout"), else_="timeout")


class SqlCancelling(SqlPart):
    """The part of the store that cancels runs."""

    def cancel(self, tenant_id: str, run_id: str, *, reason: str = "cancelled") -> Run:
        known = select(runs.c.id).where(runs.c.id == run_id, runs.c.tenant_id == tenant_id)
        with transaction(self._walled, tenant_id) as connection:
            if connection.execute(known).first() is None:
                raise NotFoundError(f"There is no run {run_id!r}; look it up with `celeriac runs ls`")
            return end_or_flag(connection, {run_id: reason})[0]

    def expire(self, *, most: int = 100) -> list[Run]:
        with reading(self._engine) as connection:  # mostly there is none, and a look takes no lock
            ids = list(connection.execute(_LATE, {"most": most}).scalars())
        if not ids:
            return []
        still = select(runs.c.id, _LATENESS).where(runs.c.id.in_(ids), *_IS_LATE).order_by(runs.c.id)
        with transaction(self._engine) as connection:
            late = connection.execute(still.with_for_update(skip_locked=True)).all()
            return end_or_flag(connection, {row[0]: row[1] for row in late})


def end_or_flag(connection: Connection, reasons: Mapping[str, str]) -> list[Run]:
    """Cancel runs, each for its reason; return them as they stand then, in the order of their ids.

    Takes the locks of their rows in this order. Those that have ended stay as they are.
    """
    rows = select(runs).where(among(runs.c.id, sorted(reasons))).order_by(runs.c.id).with_for_update()
    return [
        _end_or_flag(connection, run_of(row), row.cancel_reason or reasons[row.id])
        for row in connection.execute(rows).all()
    ]


def _end_or_flag(connection: Connection, run: Run, reason: str) -> Run:
    if run.status in FINAL:
        return run
    if run.status != "running":
        return end_at_once(connection, run.id, Ending(status="cancelled", reason=reason))
    # A wake too, so that a link which is about to park sees the flag instead.
    flag = {
        "cancel_requested": True,
        "cancel_reason": func.coalesce(runs.c.cancel_reason, reason),
        "deadline": None,
        "wakes": runs.c.wakes + 1,
    }
    connection.execute(update(runs).where(runs.c.id == run.id).values(flag))
    return run
