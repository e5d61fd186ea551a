"""The strain: stretches of time in which the machine had more to do than it could, so that lateness proves nothing.

More of its threads were ready to run, ours and strangers', than its cores can serve in time. Only Linux tells.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from celeriac.chaos.record import Record, Trouble

#: threads that are ready to run for each core, over a second, from which on the machine is strained
_READY_FOR_EACH_CORE = 2.5

_WINDOW_SECONDS = 1.0


class Strain:
    """Watches the machine, and notes when it is strained."""

    def __init__(self, record: Record) -> None:
        """Note it in the record."""
        self._record = record
        self._looks: deque[tuple[float, int]] = deque()
        self._now: Trouble | None = None

    def look(self) -> None:
        """Look once; to be called many times a second."""
        now = time.monotonic()
        with suppress(OSError):  # not Linux
            self._looks.append((now, int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])))
        while self._looks and self._looks[0][0] < now - _WINDOW_SECONDS:
            self._looks.popleft()
        ready = sum(number for _, number in self._looks) / max(1, len(self._looks))
        if ready < _READY_FOR_EACH_CORE * (os.cpu_count() or 1):
            self._now = None
        elif self._now is None:
            self._now = Trouble(kind="machine", since=self._looks[0][0], until=now)
            self._record.troubles.append(self._now)
        else:
            self._now.until = now
