"""The supervisor: keeps the processes of `celeriac dev` running, and ends them all.

Each child has a process group of its own, so that Ctrl-C reaches the supervisor alone, and dies with it even when it
is killed. A child that ends by itself is started again after a growing pause. It knows nothing of what it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

#: seconds that children have to end by themselves; killing one loses nothing, it only takes longer to go on
GRACE_SECONDS = 2.0

_LOOK_EVERY_SECONDS = 0.1
#: a child that lived for this long has not failed at its start
_STABLE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 10.0

#: Asks the kernel for SIGKILL at the end of the parent, however that goes, and becomes the program. Code that ran
#: between fork and exec instead would run beside locks that our other threads held.
_TIE_LIFE = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What a child runs."""

    name: str
    command: tuple[str, ...]
    #: further variables, beside those of the supervisor
    environment: Mapping[str, str] = field(default_factory=dict)
    #: the queues that it takes runs from, where it is a worker
    queues: tuple[str, ...] = ()
    #: whether the other children need it until their end
    ends_last: bool = False


def pause_before_restart(failures: int) -> float:
    """Return the seconds to wait before a child that failed that often in a row is started again."""
    return float(min(0.25 * 2**failures, _LONGEST_PAUSE_SECONDS))


class Child:
    """One process, whichever number it has at the moment; safe to use from any thread."""

    def __init__(self, program: Program, log: Path, in_starter: Callable[[Callable[[], None]], None]) -> None:
        """Take the program, the file for its output, and the way into the supervisor's lasting thread."""
        self.name, self.queues, self.log = program.name, program.queues, log
        self.program = program
        self._in_starter = in_starter
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False
        self._failures, self._started_at, self._start_at = 0, 0.0, 0.0

    @property
    def pid(self) -> int:
        """The process's number; 0 before the first start."""
        return self._process.pid if self._process is not None else 0

    def is_alive(self) -> bool:
        """Say whether the process runs now."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, where it does not run; from now on it is kept running."""
        self._is_wanted = True
        self._in_starter(self._start)

    def kill(self) -> None:
        """Kill it with SIGKILL and wait for its end; it stays dead until `start`."""
        self._is_wanted = False
        self._in_starter(self._kill)

    def revive(self) -> int | None:
        """Plan a new start where it ended by itself, and make it when it is due; return the exit code at its end."""
        if not self._is_wanted or self._process is None or self.is_alive():
            return None
        now = time.monotonic()
        if not self._start_at:
            self._failures = 0 if now - self._started_at >= _STABLE_SECONDS else self._failures + 1
            self._start_at = now + pause_before_restart(self._failures)
            return self._process.returncode
        if now >= self._start_at:
            self._in_starter(self._start)
        return None

    def let_go(self) -> None:
        """Ask it to end."""
        self._is_wanted = False
        if self._process is not None and self.is_alive():
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for its end until the deadline; then kill it with all that it has started."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):  # it ended in this moment
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        if self.is_alive() or not self._is_wanted:
            return
        self._start_at, self._started_at = 0.0, time.monotonic()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                _dying_with_us(self.program.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.program.environment},
                process_group=0,
            )


class Supervisor:
    """Runs programs side by side until it is left; a context manager."""

    def __init__(self, logs: Path, *, tell: Callable[[str], None]) -> None:
        """Write what children print below `logs`, and `tell` of children that ended by themselves."""
        self._logs = logs
        self._tell = tell
        self._children: list[Child] = []
        self._is_ending = threading.Event()
        # Linux ends a child when the thread that started it ends, so one thread that lasts starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="supervisor-starter")
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End all children."""
        self.stop()

    def run(self, program: Program) -> Child:
        """Start a program and keep it running."""
        child = Child(program, self._logs / f"{program.name}.log", lambda code: self._starter.submit(code).result())
        child.start()
        self._children.append(child)
        return child

    def stop(self) -> None:
        """End all children within the grace time; those that do not end by themselves are killed."""
        self._is_ending.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for ends_last in (False, True):
            wave = [child for child in self._children if child.program.ends_last is ends_last]
            deadline = time.monotonic() + GRACE_SECONDS
            for child in wave:
                child.let_go()
            for child in wave:
                child.end(deadline)
        self._starter.shutdown()

    def _watch(self) -> None:
        while not self._is_ending.wait(_LOOK_EVERY_SECONDS):
            for child in list(self._children):
                code = child.revive()
                if code is not None:
                    self._tell(f"{child.name} ended with {code} and is started again; it wrote: {last_line(child.log)}")


def last_line(log: Path) -> str:
    """Return the last thing that a child wrote, and where there is more."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"{lines[-1].strip()[:300] if lines else 'nothing'} ({log})"


def _dying_with_us(command: Sequence[str]) -> list[str]:
    """Return the command that becomes this one after it has tied its life to this process, where the system can."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _TIE_LIFE, str(os.getpid()), *command]
