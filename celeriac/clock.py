"""Time: durations as people write them, and the clocks that the engine may be given.

Everybody who needs the time takes a `Clock`; nothing below the CLI reads the system's clock by itself, so that tests
move time instead of waiting for it. Liveness is judged by the database's clock alone, in SQL.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from celeriac.errors import ConfigError

Duration = float | int | str | timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
#: a text of more characters is refused before it is searched, which takes the square of its digits
_LONGEST = 40


def duration(value: Duration) -> timedelta:
    """Read `"4h"`, `"1m30s"`, seconds or a timedelta; raise `ConfigError` for anything else, below zero, or endless."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, str):
        if len(value) > _LONGEST:
            raise ConfigError(f"{value[:_LONGEST]!r}… is no duration; it has more than {_LONGEST} characters")
        parts = _PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value.replace(" ", ""):
            raise ConfigError(f"{value!r} is no duration; write it like '30s', '4h' or '1m30s', or give seconds")
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ConfigError(f"{value!r} is no duration; write it like '30s', or give seconds or a timedelta")
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"The duration {value!r} must be zero or more")
    try:
        return timedelta(seconds=seconds)
    except OverflowError as error:
        raise ConfigError(f"The duration {value!r} is longer than any that can be counted") from error


#: seconds by which two clocks may part in a second: more than quartz does, and less than networks delay
_DRIFT = 0.001
#: answers that took less than this are equally good
_EXACT_SECONDS = 0.001


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Return the present as an aware datetime in UTC."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the machine's time."""
        return datetime.now(UTC)


class SyncedClock:
    """A clock set by another one (the database's) and carried on by this machine's monotonic clock.

    So all workers of a fleet plan their timers on one time, whatever their own clocks say. It is never behind the
    other one, or a timer planned by it would fire too early; and it keeps to the answer that took the shortest time,
    because the time that an answer was under way is the time by which it may be ahead.
    """

    def __init__(self) -> None:
        """Start with this machine's time until the first `sync`."""
        self._doubt = float("inf")
        self._base = (datetime.now(UTC), time.monotonic())

    def sync(self, present: datetime, *, asked_at: float | None = None) -> None:
        """Set the clock to `present`, which somebody was asked for at that moment of `time.monotonic` (now if None).

        An answer that took much longer than an earlier one is passed over, unless that is old.
        """
        now = time.monotonic()
        asked_at = now if asked_at is None else asked_at
        doubt = now - asked_at
        if doubt <= max(self._doubt, _EXACT_SECONDS) + (now - self._base[1]) * _DRIFT:
            self._doubt, self._base = doubt, (present, asked_at)

    def now(self) -> datetime:
        """Return the time last set plus what has passed since."""
        present, since = self._base
        return present + timedelta(seconds=time.monotonic() - since)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime | None = None) -> None:
        """Start at `start`, or at a fixed day."""
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time to which the clock was last moved."""
        return self._now

    def advance(self, by: Duration) -> datetime:
        """Move forward and return the new time."""
        self._now += duration(by)
        return self._now
