"""The Lua decisions in `lua/`, called by name.

Each file is one atomic decision; the parts in `lua/parts/` are put before it, in order. `redis_gate.py` is the only
caller. A call is sent once: where its answer is lost the caller gets the error, and calling again is harmless, for
each decision is idempotent by (run, fence) or leads to a pick that expires.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from redis import Redis

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
_SHARED = "".join(path.read_text("utf-8") for path in sorted(_FOLDER.glob("parts/*.lua")))
_SOURCES = {path.stem: path.read_text("utf-8") for path in _FOLDER.glob("*.lua")}


class RedisScripts:
    """The decisions on one Redis, with what all of them are told: the keys' prefix and the dead time."""

    def __init__(self, redis: Redis, *, prefix: str, dead_after: timedelta, clock: Clock | None = None) -> None:
        """Prepare all scripts; the server gets each at its first call, and again when it has lost it.

        They go by the server's time, or by `clock` in tests that move it. The life of keys is the server's always.
        """
        self._shared_arguments = [prefix, str(dead_after // timedelta(microseconds=1))]
        self._clock = clock
        self._scripts = {name: redis.register_script(_SHARED + source) for name, source in _SOURCES.items()}

    def call(self, decision: Decision, *arguments: str | int) -> object:
        """Run one decision; raise `redis.exceptions.RedisError` where Redis does not answer."""
        now = "" if self._clock is None else (self._clock.now() - _EPOCH) // timedelta(microseconds=1)
        answer: object = self._scripts[decision](args=[*self._shared_arguments, now, *arguments])
        return answer
