"""The fleet under measurement: an installation on fresh databases, its worker processes, and one tenant who submits.

The cases use it; it knows nothing of what they measure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import redis
from sqlalchemy import Engine

from benchmarks.cpu import cpu_seconds
from benchmarks.servers import ROOT, die_with_parent, fresh_database, postmaster, wait_for
from celeriac import Event
from celeriac.database import connect, migrate, reading
from celeriac.settings import Settings
from celeriac.wiring import Installation, build

Db = Literal["postgres", "sqlite"]

#: The newest run that has not ended: found at once by the index, so that looking costs the database next to nothing.
_UNFINISHED = """
SELECT id FROM runs WHERE tenant_id = ? AND status IN ('queued', 'running', 'parked')
ORDER BY created_at DESC, id DESC LIMIT 1"""


@dataclass(frozen=True, kw_only=True)
class Servers:
    """The servers that stand for all cases; `postgres_url` is None where only SQLite is measured."""

    folder: Path
    redis_url: str
    postgres_url: str | None


@dataclass(kw_only=True)
class Fleet:
    """One installation; `with fleet_on(…)` makes it."""

    rooms: Installation
    engine: Engine
    environment: Mapping[str, str]
    folder: Path
    #: servers that are not children of this process
    foreign: tuple[int, ...] = ()
    tenant_id: str = ""
    #: what runs the commands of Celeriac, and the app of the workers
    program: tuple[str, ...] = ("-m", "celeriac")
    app: str = "benchmarks.workload:app"
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """Where the workers write."""
        return self.folder / "workers.log"

    def start_workers(self, count: int, concurrency: int, **environment: str) -> None:
        """Start worker processes; `warm_up` waits until they have joined the fleet."""
        command = ("worker", self.app, "--queues", "runs", "--concurrency", str(concurrency))
        self.workers += [self.start(*command, **environment) for _ in range(count)]

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command of Celeriac as a process, which the caller ends."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *self.program, *command],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **self.environment, **environment},
                preexec_fn=die_with_parent,
            )

    def warm_up(self, event: str, data: Mapping[str, Any], *, runs: int) -> None:
        """Let every worker join, and open its connections at some runs."""
        self.wait_for_workers()
        self.submit([Event(event, dict(data))] * runs)
        self.wait_for_all()

    def wait_for_workers(self) -> None:
        """Wait until all workers have joined the fleet."""
        wait_for("the workers to join", self._has_joined)

    def _has_joined(self) -> bool:
        if any(worker.poll() is not None for worker in self.workers):
            raise RuntimeError("A worker ended as it started; its log follows")
        return bool(self.query("SELECT count(*) FROM workers")[0][0] >= len(self.workers))

    def kill(self, count: int) -> None:
        """Kill workers with SIGKILL."""
        victims, self.workers = self.workers[:count], self.workers[count:]
        for worker in victims:
            worker.kill()
        for worker in victims:
            worker.wait()

    def stop(self) -> None:
        """End the workers in order."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.workers.clear()

    def submit(self, events: Sequence[Event]) -> list[str]:
        """Send events in one request; return their ids."""
        return [one.id for one in self.rooms.intake.accept(self.tenant_id, events)]

    def query(self, statement: str, *parameters: object) -> Sequence[Any]:
        """Read the truth; parameters stand as `?`."""
        if self.engine.dialect.name == "postgresql":
            statement = statement.replace("?", "%s")
        with reading(self.engine) as connection:
            return connection.exec_driver_sql(statement, tuple(parameters) or None).all()

    def wait_for_all(self, *, every: float = 0.005, within: float = 120.0) -> float:
        """Wait until every run has ended; return the monotonic time at which that was seen."""
        wait_for("all runs to end", lambda: not self.query(_UNFINISHED, self.tenant_id), every=every, within=within)
        return time.perf_counter()

    def cpu(self, *, without: Sequence[int] = ()) -> float:
        """Return the CPU seconds of all processes up to now: workers, sender, Redis and Postgres."""
        return cpu_seconds({os.getpid(), *self.foreign}, without=without)


@contextmanager
def fleet_on(db: Db, servers: Servers) -> Iterator[Fleet]:
    """Make an installation on an empty database and an empty Redis; at the end its workers are stopped."""
    with tempfile.TemporaryDirectory(dir=servers.folder) as name, _database(db, servers, Path(name)) as url:
        with redis.Redis.from_url(servers.redis_url) as client:
            client.flushall()  # the Redis is ours
        migrate(url)
        engine = connect(url)
        first = None if servers.postgres_url is None else postmaster(servers.postgres_url)
        fleet = Fleet(
            rooms=build(
                Settings(
                    database_url=url, redis_url=servers.redis_url, secret_key="a key of the benchmark, and long enough"
                )
            ),
            engine=engine,
            environment={"CELERIAC_DATABASE_URL": url, "CELERIAC_REDIS_URL": servers.redis_url},
            folder=Path(name),
            foreign=() if first is None else (first,),
        )
        fleet.log.touch()
        fleet.tenant_id = fleet.rooms.tenants.create("Bench").id
        try:
            yield fleet
        except BaseException:
            sys.stderr.write(fleet.log.read_text(errors="replace")[-4000:])
            raise
        finally:
            fleet.stop()
            engine.dispose()


@contextmanager
def _database(db: Db, servers: Servers, folder: Path) -> Iterator[str]:
    if db == "sqlite":
        yield f"sqlite:///{folder / 'bench.db'}"
    else:
        assert servers.postgres_url is not None
        with fresh_database(servers.postgres_url) as url:
            yield url
