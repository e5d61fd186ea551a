"""The fleet in SQL: the rows of worker processes, who is alive by the database's clock, and what the dead leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from celeriac.database import db_ago, db_now, reading, single, transaction
from celeriac.platform.durable.poison import POISON, poisoned
from celeriac.platform.durable.store import Renewal, Worker
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_endings import end_at_once
from celeriac.platform.store.sql_part import SqlPart, among, insert_one, present
from celeriac.platform.store.sql_placements import give_back, performed_by
from celeriac.platform.store.sql_rows import QUEUED, AnyRow, queued_of, worker_of
from celeriac.platform.store.sql_waking import lock_runs
from celeriac.platform.store.tables import runs, workers


class SqlFleet(SqlPart):
    """The part of the store that workers keep their rows in."""

    def now(self) -> datetime:
        with reading(self._engine) as connection:
            return present(connection)

    def register(self, worker: Worker) -> None:
        row = {
            "id": worker.id,
            "host": worker.host,
            "boot_id": worker.boot_id,
            "pid_namespace": worker.pid_namespace,
            "pid": worker.pid,
            "pid_started": worker.pid_started,
            "queues": json.dumps(worker.queues),
            "capacity": worker.capacity,
            "version": worker.version,
            "started_at": db_now(),
            "seen_at": db_now(),
        }
        with single(self._engine) as connection:
            insert_one(connection, workers, row)

    def renew(self, worker_id: str) -> Renewal:
        renewal = update(workers).where(workers.c.id == worker_id).values(seen_at=db_now()).returning(workers.c.seen_at)
        flagged = select(runs.c.id).where(
            runs.c.worker_id == worker_id, runs.c.status == "running", runs.c.cancel_requested
        )
        with single(self._heart) as connection:
            seen_at = connection.execute(renewal).scalar_one_or_none()
            if seen_at is None:
                return Renewal(is_alive=False, now=present(connection))
            return Renewal(is_alive=True, now=seen_at, cancelled=tuple(connection.execute(flagged).scalars()))

    def retire(self, worker_id: str) -> None:
        with single(self._engine) as connection:
            connection.execute(delete(workers).where(workers.c.id == worker_id))

    def neighbours(self, worker_id: str) -> list[Worker]:
        own = select(workers).where(workers.c.id == worker_id).subquery()
        statement = select(workers).where(
            workers.c.id != worker_id,
            workers.c.host == own.c.host,
            workers.c.boot_id == own.c.boot_id,
            workers.c.pid_namespace == own.c.pid_namespace,
        )
        with reading(self._engine) as connection:
            return [worker_of(row) for row in connection.execute(statement.order_by(workers.c.id))]

    def bury(
        self,
        worker_ids: Sequence[str],
        *,
        silent_for: timedelta | None = None,
        as_of: datetime | None = None,
        is_death: bool = True,
    ) -> list[Queued]:
        judged: ColumnElement[bool] = workers.c.id.in_(sorted(set(worker_ids)))
        if silent_for is not None:
            judged = or_(judged, _silent(silent_for, as_of))
        with transaction(self._engine) as connection:
            dead = set(connection.execute(delete(workers).where(judged).returning(workers.c.id)).scalars())
            gone = sorted(dead | set(worker_ids))
            left: ColumnElement[bool] = runs.c.worker_id.in_(gone)
            if silent_for is not None:
                left = or_(left, _orphaned(silent_for))
            placed = performed_by(connection, gone, orphaned_for=silent_for)
            held = connection.execute(select(runs.c.id).where(left, runs.c.status == "running")).scalars()
            lock_runs(connection, {*held, *(claim.run_id for claim in placed)})  # all of them in one order
            return _put_back(connection, left, deaths=int(is_death)) + give_back(connection, placed)

    def held(self, worker_id: str) -> list[tuple[str, int]]:
        mine = select(runs.c.id, runs.c.fence).where(runs.c.worker_id == worker_id, runs.c.status == "running")
        with reading(self._engine) as connection:
            return [(row.id, row.fence) for row in connection.execute(mine)]

    def give_back(self, run_id: str, fence: int) -> Queued | None:
        with transaction(self._engine) as connection:
            moved = _put_back(connection, and_(runs.c.id == run_id, runs.c.fence == fence))
        return moved[0] if moved else None


def _silent(silent_for: timedelta, as_of: datetime | None) -> ColumnElement[bool]:
    """Say of a worker that it has not renewed its row for so long; a renewal that is under way is waited for."""
    silent = workers.c.seen_at <= db_ago(silent_for)
    return silent if as_of is None else and_(silent, workers.c.seen_at <= as_of - silent_for)


def _orphaned(silent_for: timedelta) -> ColumnElement[bool]:
    """Say of a run that its worker has no row: it was claimed in the moment in which its worker was judged dead."""
    return and_(runs.c.worker_id.not_in(select(workers.c.id)), runs.c.claimed_at <= db_ago(silent_for))


def _put_back(connection: Connection, left: ColumnElement[bool], *, deaths: int = 0) -> list[Queued]:
    """Move running runs to queued; their fence stays, as the next claim raises it.

    Each is under suspicion of so many more deaths, and one that is poison ends instead.
    """
    found = select(runs.c.id, runs.c.suspicion).where(left, runs.c.status == "running").order_by(runs.c.id)
    rows = connection.execute(found.with_for_update()).all()
    for row in rows:
        if row.suspicion + deaths >= POISON:
            end_at_once(connection, row.id, poisoned())
    ids = [row.id for row in rows if row.suspicion + deaths < POISON]
    if not ids:
        return []
    moved: Sequence[AnyRow] = connection.execute(
        update(runs)
        .where(among(runs.c.id, ids))
        .values(status="queued", worker_id=None, queued_at=db_now(), suspicion=runs.c.suspicion + deaths)
        .returning(*QUEUED)
    ).all()
    return [queued_of(row) for row in moved]
