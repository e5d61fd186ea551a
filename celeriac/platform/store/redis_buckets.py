"""The token buckets in Redis: shared by all processes, decided in one Lua script.

Made by `wiring.py`, called by the meter. A bucket is the key `<prefix>:bucket:<tenant>:<name>`, which expires when the
bucket would be full; `<prefix>:buckets:born` stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from celeriac.platform.flow.buckets import BucketsUnavailable, Later, Taken, Want

#: keys (behind the prefix) that stay when all buckets are full
PERMANENT_KEYS = ("buckets:born",)

_SOURCE = (Path(__file__).with_name("lua") / "buckets" / "take.lua").read_text("utf-8")


class RedisBuckets:
    """The buckets of a fleet."""

    def __init__(self, redis: Redis, *, prefix: str = "cel") -> None:
        """Use the client for everything; installations that share a Redis differ in `prefix`."""
        self._prefix = prefix
        self._script = redis.register_script(_SOURCE)

    def begin(self) -> None:
        self._call("look", "", ())

    def take(self, tenant_id: str, wants: Sequence[Want]) -> Taken | Later:
        return self._answer("take", tenant_id, wants)

    def queue(self, tenant_id: str, wants: Sequence[Want], *, was_promised: bool) -> Taken | Later:
        return self._answer("back" if was_promised else "queue", tenant_id, wants)

    def settle(self, tenant_id: str, wants: Sequence[Want]) -> None:
        if wants:
            self._call("settle", tenant_id, wants)

    def left(self, tenant_id: str, wants: Sequence[Want]) -> tuple[float, ...]:
        return tuple(map(float, self._call("look", tenant_id, wants)[3:])) if wants else ()

    def _answer(self, mode: str, tenant_id: str, wants: Sequence[Want]) -> Taken | Later:
        if not wants:
            return Taken(left=())
        is_taken, wait, slowest, *texts = self._call(mode, tenant_id, wants)
        left = tuple(map(float, texts))
        if is_taken:
            return Taken(left=left)
        return Later(after=timedelta(microseconds=wait), name=wants[slowest - 1].name, left=left)

    def _call(self, mode: str, tenant_id: str, wants: Sequence[Want]) -> list[int]:
        names = (f"{self._prefix}:bucket:{tenant_id}:{want.name}" for want in wants)
        numbers = [repr(float(part)) for want in wants for part in (want.amount, want.rate, want.burst)]
        try:
            answer = self._script(keys=[f"{self._prefix}:buckets:born", *names], args=[mode, *numbers])
        except RedisError as error:
            raise BucketsUnavailable(type(error).__name__) from error
        return cast(list[int], answer)
