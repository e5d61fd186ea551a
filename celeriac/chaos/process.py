"""The process: one child of the play, which it may kill, stop and start again, and which never outlives it.

Workers and the private servers run as such. A child is known by its number alone as long as the play has not buried
it, so that no signal can reach a stranger.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM

#: Asks the kernel for SIGKILL at the end of the parent, however that goes, takes the user, and becomes the program.
_TIE_LIFE = """
import ctypes, os, signal, sys
if sys.argv[2]:
    import pwd
    entry = pwd.getpwnam(sys.argv[2])
    os.setgroups([]); os.setgid(entry.pw_gid); os.setuid(entry.pw_uid)
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[3], sys.argv[3:])
"""


class Process:
    """A child; started by the play's lasting thread only, because the kernel ties it to that."""

    def __init__(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        """Start it; what it prints is added to `log`. `user` is for a parent that is root."""
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _TIE_LIFE, str(os.getpid()), user or "", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env if env is not None else os.environ),
                cwd=log.parent,
                process_group=0,
            )
        self.pid = self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; below zero the number of the signal that ended it."""
        return self._process.poll()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.exit_code is None

    def signal(self, number: int) -> None:
        """Send it a signal, where it has not ended."""
        if self.is_alive:
            with suppress(ProcessLookupError):  # it has ended in this moment
                self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL, and wait until the kernel has buried it."""
        self.signal(SIGKILL)
        self._process.wait(10)

    def end(self, number: int = SIGTERM, *, within: float = 10.0) -> int:
        """Ask it to end, also where it is stopped; kill it where it does not. Returns its exit code."""
        self.signal(number)
        self.signal(SIGCONT)
        return self.wait(within)

    def wait(self, within: float) -> int:
        """Wait for its end, and kill it where that does not come. Returns its exit code."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()
