"""The Lua decisions in `lua/`, called by name.

Each file is one atomic decision; `shared.lua` is put before it. `redis_gate.py` is the only caller. A call is sent
once: where its answer is lost the caller gets the error, and calling again is harmless, for each decision is
idempotent by (run, fence) or leads to a pick that expires.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from redis import Redis

Decision = Literal["attend", "enqueue", "forget", "pick", "proceed", "release", "renew", "started"]

_SOURCES = {path.stem: path.read_text("utf-8") for path in Path(__file__).with_name("lua").glob("*.lua")}


class RedisScripts:
    """The decisions on one Redis, with what all of them are told: the keys' prefix and the dead time."""

    def __init__(self, redis: Redis, *, prefix: str, dead_after: timedelta) -> None:
        """Prepare all scripts; the server gets each at its first call, and again when it has lost it."""
        self._shared_arguments = [prefix, str(dead_after // timedelta(microseconds=1))]
        self._scripts = {
            name: redis.register_script(_SOURCES["shared"] + source)
            for name, source in _SOURCES.items()
            if name != "shared"
        }

    def call(self, decision: Decision, *arguments: str | int) -> object:
        """Run one decision; raise `redis.exceptions.RedisError` where Redis does not answer."""
        answer: object = self._scripts[decision](args=[*self._shared_arguments, *arguments])
        return answer
