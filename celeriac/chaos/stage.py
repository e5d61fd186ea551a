"""The stage: a private installation with everything that a play may break.

Redis and Postgres of its own (or a SQLite file), worker processes, and a fault proxy before each connection of each of
them. It ends whatever it has started. The play's own reads go past the proxies.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, make_url, text

from celeriac.chaos.app import EFFECTS_FILE, FOLDER
from celeriac.chaos.chronicle import keep_chronicle
from celeriac.chaos.plan import Database
from celeriac.chaos.process import Process
from celeriac.chaos.proxy import Proxy
from celeriac.chaos.record import Departure, Record, Trouble
from celeriac.chaos.servers import PostgresServer, RedisServer, last_line
from celeriac.chaos.skew import skewed_environment, write_skew
from celeriac.chaos.traps import Traps
from celeriac.database import connect, migrate, reading, single
from celeriac.errors import ConfigError, StoreUnavailable
from celeriac.settings import Settings
from celeriac.tenants.quotas import Limits
from celeriac.wiring import Installation, build

APP = "celeriac.chaos.app:app"

#: short enough to see a worker die of silence several times in a minute
HEARTBEAT_SECONDS, DEAD_SECONDS = 0.5, 3.0

#: links that a worker executes at once
CONCURRENCY = 16

#: the second tenant has its share limited, so that slots and tokens are fought for
LIMITED = Limits(running=6, starts_per_second=10.0, starts_burst=20)

_READY_WITHIN_SECONDS = 60.0
_LEAVES_WITHIN_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 0.05


@dataclass(eq=False)
class Worker:
    """A place for a worker process, which may be a new one after each death; its proxies stay."""

    number: int
    redis: Proxy
    database: Proxy | None
    #: of those who strike it, one at a time
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    process: Process | None = None
    #: processes that were asked to leave and are still there
    leaving: list[Process] = field(default_factory=list)
    seen_alive_at: float = 0.0

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes behind the proxies at this moment."""
        now = [self.process, *self.leaving]
        return tuple(process.pid for process in now if process is not None and process.is_alive)


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """The programs of the servers that a private stage runs; without a Postgres it uses SQLite."""

    redis: str
    postgres: Path | None


class Stage:
    """A private installation; an asynchronous context manager, to be entered by the process's main thread."""

    is_shared = False
    has_chronicle = True
    times = (HEARTBEAT_SECONDS, DEAD_SECONDS)
    limits = (Limits(), LIMITED)

    def __init__(self, folder: Path, binaries: Binaries, *, workers: int, database_url: str | None = None) -> None:
        """Plan `workers` workers; `database_url` names a database to be used, in which nobody else works."""
        self.folder, self._binaries, self._count = folder, binaries, workers
        self.record = Record()
        self.effects = folder / EFFECTS_FILE
        self.traps = Traps(folder)
        self.workers: list[Worker] = []
        self.postgres: PostgresServer | None = None
        self._database_url = database_url
        self._proxies: list[Proxy] = []
        #: the fault that has set a trap, for whoever dies of it
        self.trapping = ""
        self._is_over = False

    async def __aenter__(self) -> Self:
        """Start the servers, then the workers, and wait until all of them are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)  # Postgres has a user of its own, and a folder in it
        self.redis = RedisServer(self._binaries.redis, self.folder, await self._free_port())
        await self.redis.start()
        self.redis_url = self.redis.url
        self.database_url = await self._start_database()
        await asyncio.to_thread(migrate, self.database_url)
        self.engine: Engine = connect(self.database_url)
        await asyncio.to_thread(keep_chronicle, self.engine)
        self.is_postgres = self.engine.dialect.name == "postgresql"
        self.database: Database = "postgres" if self.is_postgres else "sqlite"
        if self.postgres is not None:
            self.database = "private postgres"
        self.rooms = self._rooms(self.database_url, self.redis.url)
        #: the installation of whoever sends, behind proxies of its own
        self.sender = Worker(0, *await self._proxy_pair())
        self.front = self._rooms(*self._urls(self.sender))
        self.workers = [Worker(number, *await self._proxy_pair()) for number in range(self._count)]
        for worker in self.workers:
            self.start(worker)
        await self.until_ready(*self.workers, revives=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        self._is_over = True
        processes = [process for worker in self.workers for process in (worker.process, *worker.leaving) if process]
        await asyncio.gather(*(asyncio.to_thread(process.end, within=5) for process in processes))
        for proxy in self._proxies:
            proxy.close()
        for rooms in (self.rooms, self.front):
            rooms.close()
        self.engine.dispose()
        self.redis.kill()
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.stop)

    # -- workers ------------------------------------------------------------------------------------------------

    def start(self, worker: Worker, *, skew: float | None = None) -> Process:
        """Start a process in the worker's place, with a clock that is off by `skew` seconds if that is given."""
        database_url, redis_url = self._urls(worker)
        env = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
        env |= {
            "PYTHONUNBUFFERED": "1",
            FOLDER: str(self.folder),
            "CELERIAC_APP": APP,
            "CELERIAC_DATABASE_URL": database_url,
            "CELERIAC_REDIS_URL": redis_url,
            "CELERIAC_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
            "CELERIAC_WORKER_DEAD_SECONDS": str(DEAD_SECONDS),
        }
        if skew is not None:
            write_skew(self.skew_file(worker), skew)
            env |= skewed_environment(self.skew_file(worker))
        options = ("--queues", "runs", "--concurrency", str(CONCURRENCY))
        command = (sys.executable, "-m", "celeriac", "worker", *options)
        log = self.folder / f"worker-{worker.number}.log"
        worker.process, worker.seen_alive_at = Process(command, log=log, env=env), time.monotonic()
        return worker.process

    async def until_ready(self, *workers: Worker, revives: bool = True) -> None:
        """Wait until the processes in these places have joined the fleet; one that ends meanwhile is started again.

        Raises `ConfigError` where one does not start, at once where nothing is there to break it (not `revives`).
        """
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        waiting = [worker for worker in workers if worker.process]
        while waiting and not self._is_over:
            if revives:
                self.revive()
            await self.look_for_joined()
            waiting = [one for one in waiting if one.process and one.process.pid not in self.record.joined]
            has_failed = not revives and any(one.process and not one.process.is_alive for one in waiting)
            if has_failed or (waiting and time.monotonic() > deadline):
                log = self.folder / f"worker-{waiting[0].number}.log"
                raise ConfigError(f"A worker does not start; it wrote: {last_line(log)} ({log})")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def look_for_joined(self) -> None:
        """Note which processes have joined the fleet since the last look."""
        with suppress(StoreUnavailable):  # the next look tells
            found = await self.read("SELECT pid FROM workers")
            for row in found:
                self.record.joined.setdefault(row.pid, time.monotonic())

    async def kill(self, worker: Worker, fault: str) -> None:
        """Kill the worker's process without a warning, and put a new one in its place."""
        process = worker.process
        if process is None:
            return
        worker.process = None  # so that nobody else takes note of its end
        now = time.monotonic()
        trouble = self.record.note(Trouble(kind="death", since=now, until=now, pids=(process.pid,), fault=fault))
        await asyncio.to_thread(process.kill)
        trouble.until = time.monotonic()
        self.start(worker)

    def revive(self) -> None:
        """Note processes that ended without being asked to, and start others in their places."""
        for worker in self.workers:
            process = worker.process
            if process is None or process.is_alive:
                worker.seen_alive_at = time.monotonic()
                continue
            has_joined = process.pid in self.record.joined
            detail = f"exit code {process.exit_code}{'' if has_joined else ', before it had joined'}"
            self._note_end(process, since=worker.seen_alive_at, detail=detail)
            self.start(worker)

    def _note_end(self, process: Process, *, since: float, detail: str) -> None:
        """Note the end of a process that nobody has killed from outside."""
        is_trapped = bool(self.trapping) and process.exit_code == -signal.SIGKILL
        self.record.note(
            Trouble(
                kind="death",
                since=since,
                until=time.monotonic(),
                pids=(process.pid,),
                fault=self.trapping if is_trapped else "",
                is_unasked=not is_trapped and process.pid in self.record.joined,
                detail=detail,
            )
        )

    async def replace(self, worker: Worker, *, skew: float | None = None) -> None:
        """Let a new process join, and then the old one leave in order."""
        old, began_at = worker.process, time.monotonic()
        self.start(worker, skew=skew)
        if old is None:
            return
        worker.leaving.append(old)
        await self.until_ready(worker)
        asked_at = time.monotonic()
        exit_code = await asyncio.to_thread(old.end, within=_LEAVES_WITHIN_SECONDS)
        worker.leaving.remove(old)
        gone_at = time.monotonic()
        self.record.departures.append(Departure(pid=old.pid, asked_at=asked_at, gone_at=gone_at, exit_code=exit_code))
        if exit_code:
            self._note_end(old, since=began_at, detail=f"exit code {exit_code} while it was replaced")

    def skew_file(self, worker: Worker) -> Path:
        """Return the file that says how much the worker's clock is off."""
        return self.folder / f"skew-{worker.number}"

    # -- the database -------------------------------------------------------------------------------------------

    async def read(self, statement: str, **values: Any) -> Sequence[Any]:
        """Read from the database, past all proxies."""
        return await asyncio.to_thread(self._read, statement, values)

    def _read(self, statement: str, values: dict[str, Any]) -> Sequence[Any]:
        with reading(self.engine) as connection:
            return connection.execute(text(statement), values).all()

    async def order(self, *statements: str) -> None:
        """Send the database statements, each a transaction of its own."""
        await asyncio.to_thread(self._order, statements)

    def _order(self, statements: Sequence[str]) -> None:
        with single(self.engine) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    # -- how it is built ----------------------------------------------------------------------------------------

    async def _start_database(self) -> str:
        if self._database_url is not None:
            await asyncio.to_thread(_refuse_used, self._database_url)
            return self._database_url
        if self._binaries.postgres is None:
            return f"sqlite:///{self.folder / 'celeriac.db'}"
        self.postgres = PostgresServer(self._binaries.postgres, self.folder / "postgres", await self._free_port())
        await asyncio.to_thread(self.postgres.prepare)
        await self.postgres.start()
        return self.postgres.url

    async def _proxy_pair(self) -> tuple[Proxy, Proxy | None]:
        redis = await Proxy(host="127.0.0.1", server_port=self.redis.port).open()
        url, database = make_url(self.database_url), None
        if url.host is not None:  # neither a file nor a socket
            database = await Proxy(host=url.host, server_port=url.port or 5432).open()
        self._proxies += [proxy for proxy in (redis, database) if proxy is not None]
        return redis, database

    def _urls(self, worker: Worker) -> tuple[str, str]:
        database_url = self.database_url
        if worker.database is not None:
            url = make_url(database_url).set(host="127.0.0.1", port=worker.database.port)
            database_url = url.render_as_string(hide_password=False)
        return database_url, self.redis.url_at(worker.redis.port)

    @staticmethod
    def _rooms(database_url: str, redis_url: str) -> Installation:
        return build(
            Settings(
                database_url=database_url,
                redis_url=redis_url,
                broker_url=redis_url,
                worker_dead_seconds=DEAD_SECONDS,
                _env_file=None,
            )
        )

    @staticmethod
    async def _free_port() -> int:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return port


def _refuse_used(database_url: str) -> None:
    """Raise `ConfigError` for a database in which somebody works: the play breaks what it uses."""
    engine = connect(database_url)
    try:
        with reading(engine) as connection:
            used = connection.execute(text("SELECT count(*) FROM runs")).scalar_one()
    except StoreUnavailable as error:
        if "no tables" not in error.message:
            raise
        used = 0
    finally:
        engine.dispose()
    if used:
        raise ConfigError(
            f"The database holds {used} runs, and a play breaks the one it uses: name an empty one, "
            "or strike your own installation gently with --here"
        )
