"""Processes of a program: started in groups of their own, so that a kill reaches all of a worker and no other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Processes:
    """Started processes; at the end of the `with` block they are killed."""

    def __init__(self) -> None:
        """Begin with none."""
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Use them."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave none behind."""
        self.kill()

    def start_python(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start `python …` of this very environment."""
        return self.start([sys.executable, *arguments], environment)

    def start(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a command; what all of them print is kept in one file."""
        with (folder() / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._running.append(process)
        return process

    def kill(self) -> None:
        """Kill all that were started, with their children, by SIGKILL."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):  # the group has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
        for process in self._running:
            process.wait()
        self._running.clear()

    def refuse_dead(self) -> None:
        """Raise `RuntimeError` when one has ended by itself."""
        for process in self._running:
            if process.poll() is not None:
                raise RuntimeError(f"A process ended by itself with {process.returncode}: {process.args!r}")


def free_port() -> int:
    """Return a port of the loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def folder() -> Path:
    """Return the folder that this measurement has to itself."""
    return Path(os.environ["BENCH_FOLDER"])


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
