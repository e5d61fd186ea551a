"""The foreign ground: an installation that somebody else runs, with its own workers.

`celeriac chaos --here` plays there. It sends its load as two tenants of its own and strikes with what does no harm;
nothing is stopped, emptied or killed, but for worker processes that the caller has named.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from celeriac.chaos.app import EFFECTS_FILE, FOLDER, app
from celeriac.chaos.plan import Database, Fault
from celeriac.chaos.record import Record, Trouble
from celeriac.database import connect, reading
from celeriac.errors import ConfigError, StoreUnavailable
from celeriac.tenants.quotas import Limits
from celeriac.wiring import Installation

#: so that the load never takes more than a part of the fleet
_NORTH = Limits(running=16, starts_per_second=50.0, starts_burst=100)
_SOUTH = Limits(running=6, starts_per_second=10.0, starts_burst=20)

_DECLARED = "SELECT count(*) FROM functions WHERE app = :app AND is_active"
_WORKER = "SELECT host FROM workers WHERE pid = :pid"


class ForeignGround:
    """An installation as its settings name it; an asynchronous context manager that changes nothing by itself."""

    is_shared = True
    has_chronicle = False
    limits = (_NORTH, _SOUTH)

    def __init__(self, rooms: Installation, *, victims: Sequence[int] = ()) -> None:
        """Take the installation, and the processes that may be killed."""
        self.rooms = self.front = rooms
        self.victims = list(victims)
        self.record = Record()
        self.engine: Engine = connect(rooms.settings.database_url)
        self.database: Database = "postgres" if self.engine.dialect.name == "postgresql" else "sqlite"
        self.redis_url = rooms.settings.redis_url
        folder = os.environ.get(FOLDER)
        self.effects = Path(folder) / EFFECTS_FILE if folder else None
        self.times = (rooms.settings.heartbeat_seconds, rooms.settings.worker_dead_seconds)

    async def __aenter__(self) -> ForeignGround:
        """See that its workers have the functions of the play; raise `ConfigError` that says how they get them."""
        [declared] = await self.read(_DECLARED, app=app.name)
        dead_after = timedelta(seconds=self.times[1])
        workers = await asyncio.to_thread(self.rooms.reads.workers, dead_after)
        if not declared[0] or not workers:
            raise ConfigError(
                "No worker here has the functions of the play: put `app.include(chaos_app)` into the staging app "
                "(`from celeriac.chaos.app import app as chaos_app`), and start its workers again"
            )
        known = {worker.pid for worker in workers if worker.host == socket.gethostname()}
        if strangers := [pid for pid in self.victims if pid not in known]:
            raise ConfigError(f"Process {strangers[0]} is no worker of this installation on this host")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the connections."""
        self.engine.dispose()

    async def kill(self, fault: Fault) -> None:
        """Kill one of the processes that may be, once."""
        if not self.victims:
            return
        pid = self.victims.pop(fault.worker % len(self.victims))
        rows = await self.read(_WORKER, pid=pid)
        if [row.host for row in rows] != [socket.gethostname()]:
            return  # it has ended meanwhile, and its number may be another's by now
        now = time.monotonic()
        trouble = self.record.note(
            Trouble(kind="death", since=now, until=now, pids=(pid,), fault=f"{fault.code}:{fault.way}")
        )
        with suppress(ProcessLookupError):  # it has ended in this moment
            os.kill(pid, signal.SIGKILL)
        trouble.until = time.monotonic()

    def revive(self) -> None:
        """Leave that to whoever runs the installation."""

    async def look_for_joined(self) -> None:
        """Note which processes are in the fleet."""
        with suppress(StoreUnavailable):  # the next look tells
            for row in await self.read("SELECT pid FROM workers"):
                self.record.joined.setdefault(row.pid, time.monotonic())

    async def read(self, statement: str, **values: Any) -> Sequence[Any]:
        """Read from the database."""
        return await asyncio.to_thread(self._read, statement, values)

    def _read(self, statement: str, values: dict[str, Any]) -> Sequence[Any]:
        with reading(self.engine) as connection:
            return connection.execute(text(statement), values).all()
