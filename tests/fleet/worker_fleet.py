"""A fleet for tests: worker processes of a test app over a Redis of their own and a database.

The tests of the fleet and of chaos start it, send events, and kill, stop and watch its workers. It starts processes
and ends exactly those; it never looks into a worker but through its log, the notes of `apps.py`, SQL and Redis.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import redis
from sqlalchemy import text

from celeriac.database import connect, migrate, reading
from celeriac.platform.run import Run
from celeriac.settings import Settings
from celeriac.tenants.quotas import Limits
from celeriac.wiring import build
from fleet.servers import RedisServer
from services import die_with_parent
from waiting import wait_until

TESTS = Path(__file__).parents[1]

#: times short enough for tests to see a worker die of silence
SHORT_TIMES = {
    "CELERIAC_HEARTBEAT_SECONDS": "0.5",
    "CELERIAC_WORKER_DEAD_SECONDS": "3",
    "CELERIAC_RETRY_SECONDS": "0",
}

#: keys of the gate that hold a run or a slot: none may be left when all runs have ended
_HOLDING = (
    *("run", "lane", "lanes", "waiting", "ring", "later", "blocked", "waiters", "sleepers"),
    *("slots", "taken", "slot", "held", "hold", "holders"),
)

_RUN_WORKER = """
import sys
from celeriac.tasks.start import run_worker
sys.exit(run_worker(None, queues=sys.argv[1].split(","), concurrency=int(sys.argv[2])))
"""

Note = dict[str, Any]


class Notes:
    """What the workers noted, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._all: list[Note] = []

    def of(self, kind: str, **facts: Any) -> list[Note]:
        """Return the notes of a kind that have these facts, in the order in which they were made."""
        self._read()
        return [one for one in self._all if one["kind"] == kind and all(one.get(key) == facts[key] for key in facts)]

    def _read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            chunk = file.read()
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._all += [json.loads(line) for line in whole.splitlines()]


class WorkerHandle:
    """One worker process."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._log_path = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                preexec_fn=die_with_parent,
                start_new_session=True,  # signals go to all of it, also where a shell stands before it
            )
        self.pid = self._process.pid

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log_path.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_until_ready(self) -> Self:
        """Wait until it has joined the fleet."""
        wait_until(lambda: " takes " in self.log or not self.is_running, 20, "the worker to join the fleet")
        assert self.is_running, self.log
        return self

    def kill(self) -> None:
        """End it without a warning, and wait until the kernel has buried it."""
        self.signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self, timeout: float = 10) -> int:
        """Ask it to end and return its exit code."""
        self.signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def signal(self, number: int) -> None:
        """Send a signal to the process and those that it has started."""
        with suppress(ProcessLookupError):  # it has ended already
            os.killpg(self.pid, number)

    def ask_to_end(self) -> None:
        """Ask it to end, also when it is stopped."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)

    def end(self) -> None:
        """Be sure that it is gone."""
        with suppress(subprocess.TimeoutExpired):  # then the next line does it
            self._process.wait(5)
        self.signal(signal.SIGKILL)
        self._process.wait()


class Fleet:
    """Workers over one Redis and one database; a context manager that leaves no process behind."""

    def __init__(
        self, folder: Path, database_url: str | None = None, *, app: str = "fleet.apps:app", **env: str
    ) -> None:
        self.folder = folder
        self.database_url = database_url or f"sqlite:///{folder / 'celeriac.sqlite'}"
        self.redis_server = RedisServer(folder)
        self.notes = Notes(folder / "notes.jsonl")
        self.workers: list[WorkerHandle] = []
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")},
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
            "PYTHONUNBUFFERED": "1",
            "FLEET_NOTES": str(folder / "notes.jsonl"),
            "CELERIAC_DATABASE_URL": self.database_url,
            "CELERIAC_REDIS_URL": self.redis_server.url,
            "CELERIAC_SECRET_KEY": "a key for tests only, and long enough",
            "CELERIAC_APP": app,
            **SHORT_TIMES,
            **env,
        }

    def __enter__(self) -> Self:
        """Start Redis, make the tables and build the rooms of a sender."""
        self.redis_server.start()
        migrate(self.database_url)
        named = {name.removeprefix("CELERIAC_").lower(): self.env[name] for name in self.env if "CELERIAC_" in name}
        self.rooms = build(Settings(**named, _env_file=None))  # type: ignore[arg-type,call-arg]
        self._sql = connect(self.database_url)
        self.redis = redis.Redis.from_url(self.redis_server.url, decode_responses=True)
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers, then Redis."""
        for worker in self.workers:
            worker.ask_to_end()
        for worker in self.workers:
            worker.end()
        self.reconnect()
        self.redis.close()
        self.redis_server.stop()

    def reconnect(self) -> None:
        """Drop our own connections, which a server that went away has broken; the next use makes new ones."""
        self.rooms.close()
        self._sql.dispose()

    # -- workers ------------------------------------------------------------------------------------------------

    def start(self, *, queues: str = "runs", concurrency: int = 16) -> WorkerHandle:
        """Start a worker and wait until it has joined."""
        return self.launch(queues=queues, concurrency=concurrency).wait_until_ready()

    def launch_two(self, *, concurrency: int = 16) -> tuple[WorkerHandle, WorkerHandle]:
        """Start two workers at once and do not wait for them."""
        return self.launch(concurrency=concurrency), self.launch(concurrency=concurrency)

    def start_two(self, *, concurrency: int = 16) -> tuple[WorkerHandle, WorkerHandle]:
        """Start two workers and wait until both have joined."""
        first, second = self.launch_two(concurrency=concurrency)
        return first.wait_until_ready(), second.wait_until_ready()

    def launch(self, *, queues: str = "runs", concurrency: int = 16) -> WorkerHandle:
        """Start a worker and do not wait for it."""
        return self.run_command([sys.executable, "-c", _RUN_WORKER, queues, str(concurrency)])

    def run_command(self, command: Sequence[str], **env: str) -> WorkerHandle:
        """Start any command in the environment of the fleet."""
        log = self.folder / f"worker_{len(self.workers)}.log"
        worker = WorkerHandle(command, {**self.env, **env}, log)
        self.workers.append(worker)
        return worker

    # -- what goes in -------------------------------------------------------------------------------------------

    def tenant(self, name: str = "acme", **limits: Any) -> str:
        """Make a tenant and return its id."""
        return self.rooms.tenants.create(name, Limits(**limits)).id

    def send(self, tenant_id: str, name: str, **data: Any) -> str:
        """Send an event and return its id."""
        return self.send_all(tenant_id, name, [data])[0]

    def send_all(self, tenant_id: str, name: str, data: Sequence[Mapping[str, Any]]) -> list[str]:
        """Send many events in one request."""
        accepted = self.rooms.intake.accept(tenant_id, [{"name": name, "data": dict(one)} for one in data])
        return [one.id for one in accepted]

    # -- what comes out -----------------------------------------------------------------------------------------

    def run_of(self, tenant_id: str, event_id: str) -> Run:
        """Return the one run that the event started."""
        [run] = self.rooms.reads.event_runs(tenant_id, event_id)
        return run

    def ended(self, tenant_id: str, event_id: str, timeout: float = 20) -> Run:
        """Wait for the end of the event's run and return it."""
        wait_until(lambda: self.run_of(tenant_id, event_id).is_final, timeout, f"the run of {event_id} to end")
        return self.run_of(tenant_id, event_id)

    def wait_for_status(self, tenant_id: str, event_id: str, status: str, timeout: float = 10) -> Run:
        """Wait until the event's run has this status."""
        wait_until(lambda: self.run_of(tenant_id, event_id).status == status, timeout, f"the run to be {status}")
        return self.run_of(tenant_id, event_id)

    def count(self, condition: str, **values: Any) -> int:
        """Count runs."""
        return int(self.sql(f"SELECT count(*) FROM runs WHERE {condition}", **values)[0][0])

    def wait_for_all(self, timeout: float = 30) -> None:
        """Wait until no run is left that has not ended, and no event that may still start one."""
        pending = "SELECT count(*) FROM events WHERE matched_at IS NULL"
        left = f"SELECT ({pending}) + count(*) FROM runs WHERE ended_at IS NULL"
        wait_until(lambda: not self.sql(left)[0][0], timeout, "all runs to end")

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Read from the database."""
        with reading(self._sql) as connection:
            return list(connection.execute(text(statement), values))

    def held_keys(self) -> list[str]:
        """Return the keys of the gate that hold runs and slots."""
        return [key for key in self.redis.scan_iter("cel:gate:*") if key.split(":")[2] in _HOLDING]
