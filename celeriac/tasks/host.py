"""What a worker process is called from outside: host, boot, pid namespace, pid and start time.

With these a neighbour on the same host can tell a process that died from one that is silent, at once and safely: a
pid alone may belong to another process by now.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

from celeriac.ids import new_id
from celeriac.platform.durable.placed import Process
from celeriac.platform.durable.store import Worker


def this_worker(*, queues: tuple[str, ...], capacity: int, version: str) -> Worker:
    """Describe this process under a new id."""
    id, pid = new_id("wrk"), os.getpid()
    boot_id, pid_started = _birth(pid)
    return Worker(
        id=id,
        host=socket.gethostname(),
        boot_id=boot_id or id,  # without /proc nobody is a neighbour
        pid_namespace=_namespace(),
        pid=pid,
        pid_started=pid_started,
        queues=queues,
        capacity=capacity,
        version=version,
    )


def is_gone(worker: Worker) -> bool:
    """Whether the process of a neighbour (same host, boot and pid namespace) has ended, for certain."""
    try:
        return _started(worker.pid) != worker.pid_started
    except OSError:
        return False  # nobody could look, for want of a free file descriptor say, and whoever is there must stay


def is_running(pid: int, started: int) -> bool:
    """Whether the process of this pid and start is still there, or nobody can tell."""
    try:
        return _started(pid) == started
    except OSError:
        return True


def this_process(worker_id: str) -> Process:
    """Describe this process as one of the worker."""
    return Process(worker_id=worker_id, pid=os.getpid(), pid_started=_birth(os.getpid())[1])


@cache
def _birth(pid: int) -> tuple[str, int]:
    """Return this boot's id and the start of this process, empty where they cannot be read.

    Read once: a process that joins anew while it may open no file would take a false start for its own.
    """
    try:
        return _read("/proc/sys/kernel/random/boot_id"), _started(pid) or 0
    except OSError:
        return "", 0


def _started(pid: int) -> int | None:
    """Return the process's start in clock ticks since boot; None where there is none, or only a zombie.

    Raises `OSError` where nobody can tell.
    """
    try:
        stat = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    return Path(path).read_text().strip()
