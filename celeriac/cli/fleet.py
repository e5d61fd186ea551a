"""The fleet as an operator sees it: the workers whose heartbeat is fresh by the database's own clock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, column, select, table

from celeriac.database import Moment, db_ago, reading

_WORKERS = table(
    "workers",
    column("id"),
    column("host"),
    column("pid"),
    column("queues"),
    column("capacity"),
    column("seen_at", Moment),
)


@dataclass(frozen=True, kw_only=True)
class LivingWorker:
    """A worker process that was heard of within the dead time."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    capacity: int


def living_workers(engine: Engine, dead_after_seconds: float) -> list[LivingWorker]:
    """Return the workers that are alive, in the order in which they came."""
    fresh = _WORKERS.c.seen_at > db_ago(timedelta(seconds=dead_after_seconds))
    with reading(engine) as connection:
        rows = connection.execute(select(_WORKERS).where(fresh).order_by(_WORKERS.c.id)).all()
    return [
        LivingWorker(id=row.id, host=row.host, pid=row.pid, queues=tuple(json.loads(row.queues)), capacity=row.capacity)
        for row in rows
    ]
