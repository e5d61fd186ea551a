"""What a worker process is called from outside: host, boot, pid namespace, pid and start time.

With these a neighbour on the same host can tell a process that died from one that is silent, at once and safely: a
pid alone may belong to another process by now.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from celeriac.ids import new_id
from celeriac.platform.durable.store import Worker


def this_worker(*, queues: tuple[str, ...], capacity: int, version: str) -> Worker:
    """Describe this process under a new id."""
    id = new_id("wrk")
    return Worker(
        id=id,
        host=socket.gethostname(),
        boot_id=_read("/proc/sys/kernel/random/boot_id") or id,  # without /proc nobody is a neighbour
        pid_namespace=_namespace(),
        pid=os.getpid(),
        pid_started=_started(os.getpid()) or 0,
        queues=queues,
        capacity=capacity,
        version=version,
    )


def is_gone(worker: Worker) -> bool:
    """Whether the process of a neighbour (same host, boot and pid namespace) has ended."""
    return _started(worker.pid) != worker.pid_started


def _started(pid: int) -> int | None:
    """Return the process's start in clock ticks since boot; None where there is none, or only a zombie."""
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
