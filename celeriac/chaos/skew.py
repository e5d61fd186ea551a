"""A crooked clock for one worker: its wall clock is off by as much as a file says, and may jump at any time.

libfaketime does it to the whole process where it is installed; elsewhere the chaos app turns the clocks of Python that
our code reads. The monotonic clock stays as it is, as on a machine whose time is set anew.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import celeriac.clock

#: names the file, for workers that turn their clocks themselves
VARIABLE = "CELERIAC_CHAOS_SKEW"


def write_skew(path: Path, seconds: float) -> None:
    """Set the clock of the worker that reads this file; both kinds read it the same way."""
    path.write_text(f"{seconds:+.0f}")


def skewed_environment(path: Path) -> dict[str, str]:
    """Return what a worker needs in its environment to be off by what the file says."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        return {VARIABLE: str(path)}
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def turn_clocks(path: Path) -> None:
    """Let this process read its wall clocks with the file's skew from now on."""
    right_time, right_time_ns = time.time, time.time_ns

    def skew() -> float:
        return float(path.read_text() or 0)

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=skew())

    time.time = lambda: right_time() + skew()
    time.time_ns = lambda: right_time_ns() + int(skew() * 1e9)
    vars(celeriac.clock)["datetime"] = Skewed
