"""What a worker is known by on its host, and when a neighbour counts as gone."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from celeriac.platform.durable.store import Worker
from celeriac.tasks.host import is_gone, this_worker


@contextmanager
def no_free_files() -> Iterator[None]:
    """Let this process open no more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def this_process() -> Worker:
    """Return this process as a worker."""
    return this_worker(queues=("runs",), capacity=1, version="")


def test_a_process_that_has_ended_is_gone() -> None:
    """Also while nobody has waited for it yet: a zombie executes nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        neighbour = replace(this_process(), pid=child.pid)
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(neighbour)
    assert is_gone(neighbour)


def test_a_neighbour_that_nobody_can_look_at_is_not_gone() -> None:
    """A worker without a free file descriptor once buried all its neighbours alive."""
    me = this_process()
    with no_free_files():
        assert not is_gone(me)


def test_a_worker_that_joins_anew_without_free_files_is_known_by_the_same_start() -> None:
    """By a false one its neighbours would bury it."""
    me = this_process()
    with no_free_files():
        again = this_process()
    assert (again.boot_id, again.pid, again.pid_started) == (me.boot_id, me.pid, me.pid_started)
