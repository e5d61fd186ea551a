"""The Lua decisions in `lua/`, called by name.

Each file is one atomic decision; the clock and the parts of its folder are put before it, in order. `redis_gate.py`
calls those of the gate here; `redis_buckets.py` loads those of the buckets in the same way. A call is sent once: where
its answer is lost the caller gets the error, and calling again is harmless, for each decision of the gate is idempotent
by (run, fence) or leads to a pick that expires.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from redis import Redis
from redis.commands.core import Script

from celeriac.clock import Clock

Decision = Literal[
    "attend",
    "enqueue",
    "explain",
    "forget",
    "hold_runs",
    "learn",
    "pick",
    "proceed",
    "release",
    "renew",
    "started",
    "unconfirmed",
]

_EPOCH = datetime.fromtimestamp(0, UTC)
_FOLDER = Path(__file__).with_name("lua")


def scripts_of(redis: Redis, folder: str = ".") -> dict[str, Script]:
    """Return the decisions of a folder of `lua/`; the server gets each at its first call, and when it has lost it."""
    parts = [_FOLDER / "common/clock.lua", *sorted((_FOLDER / folder).glob("parts/*.lua"))]
    shared = "".join(path.read_text("utf-8") for path in parts)
    files = (_FOLDER / folder).glob("*.lua")
    return {path.stem: redis.register_script(shared + path.read_text("utf-8")) for path in files}


def time_of(clock: Clock | None) -> int | str:
    """Return what a decision is told of the time: microseconds, or nothing, and it goes by the server's."""
    return "" if clock is None else (clock.now() - _EPOCH) // timedelta(microseconds=1)


class RedisScripts:
    """The decisions on one Redis, with what all of them are told: the keys' prefix and the dead time."""

    def __init__(self, redis: Redis, *, prefix: str, dead_after: timedelta, clock: Clock | None = None) -> None:
        """Prepare all scripts.

        They go by the server's time, or by `clock` in tests that move it. The life of keys is the server's always.
        """
        self._shared_arguments = [prefix, str(dead_after // timedelta(microseconds=1))]
        self._clock = clock
        self._scripts = scripts_of(redis)

    def call(self, decision: Decision, *arguments: str | int) -> object:
        """Run one decision; raise `redis.exceptions.RedisError` where Redis does not answer."""
        answer: object = self._scripts[decision](args=[time_of(self._clock), *self._shared_arguments, *arguments])
        return answer
