"""Servers that a test may stop in the middle and start again where they were: a Redis and a Postgres."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psycopg
import redis

from services import die_with_parent, free_port, redis_executable
from waiting import wait_until


class RedisServer:
    """A Redis without persistence, on one port for all its lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start empty."""
        command = [redis_executable(), "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, preexec_fn=die_with_parent
            )
        wait_until(self._answers, what="Redis to answer")

    def stop(self) -> None:
        """End it at once, with all that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False


class PostgresServer:
    """A running Postgres on a socket in `folder`, which can be crashed and started again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._data = Path(url.partition("host=")[2]) / "data"
        self._process: subprocess.Popen[bytes] | None = None
        proc = Path(f"/proc/{self._pid}")
        self._command = proc.joinpath("cmdline").read_text().rstrip("\0").split("\0")
        self._owner = proc.stat().st_uid

    @property
    def _pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def crash(self) -> None:
        """End it without a checkpoint, as `pg_ctl stop -m immediate` does."""
        os.kill(self._pid, signal.SIGQUIT)
        wait_until(lambda: not (self._data / "postmaster.pid").exists(), what="Postgres to end")
        if self._process is not None:
            self._process.wait(10)

    def start(self) -> None:
        """Start it again: it recovers what was committed."""
        with (self._data.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd=self._data.parent,
                user=self._owner,
                env={**os.environ, "LC_ALL": "C"},
                preexec_fn=die_with_parent,
            )
        wait_until(self._accepts, 30, "Postgres to accept")

    def stop(self) -> None:
        """End the life that `start` began, if any."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)

    def _accepts(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True
