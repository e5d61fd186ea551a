"""The token buckets in Redis: shared by all processes, each decision a Lua script of its own.

Made by `wiring.py`, called by the meter. A bucket is the key `<prefix>:bucket:<tenant>:<name>`, which expires when the
bucket would be full, with its line in two more keys while somebody waits; `<prefix>:buckets:born` stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, cast

from redis import Redis
from redis.exceptions import RedisError

from celeriac.clock import Clock
from celeriac.platform.flow.buckets import BucketsUnavailable, Later, Taken, Want
from celeriac.platform.store.redis_scripts import scripts_of, time_of

#: keys (behind the prefix) that stay when all buckets are full
PERMANENT_KEYS = ("buckets:born",)

_Decision = Literal["look", "queue", "settle", "take"]

#: what the names of a bucket's keys begin with, in the order of the scripts: the bucket, and those of its line
_BUCKET, _LINE = ("bucket",), ("bucket", "line", "sums")


class RedisBuckets:
    """The buckets of a fleet."""

    def __init__(self, redis: Redis, *, prefix: str = "cel", clock: Clock | None = None) -> None:
        """Use the client for everything; installations that share a Redis differ in `prefix`.

        They go by the server's time, or by `clock` in tests that move it. The life of keys is the server's always.
        """
        self._prefix, self._clock = prefix, clock
        self._scripts = scripts_of(redis, "buckets")

    def begin(self) -> None:
        self._call("look", "", ())

    def take(self, tenant_id: str, wants: Sequence[Want]) -> Taken | Later:
        if not wants:
            return Taken(left=())
        is_taken, wait, slowest, *left = self._call("take", tenant_id, wants)
        if is_taken:
            return Taken(left=_floats(left))
        return Later(after=timedelta(microseconds=wait), name=wants[slowest - 1].name, left=_floats(left))

    def queue(self, tenant_id: str, wants: Sequence[Want], *, ticket: int | None) -> Taken | Later:
        if not wants:
            return Taken(left=())
        shown = "" if ticket is None else str(ticket)
        is_taken, wait, slowest, ticket, *left = self._call("queue", tenant_id, wants, shown, kinds=_LINE)
        if is_taken:
            return Taken(left=_floats(left))
        after, name = timedelta(microseconds=wait), wants[slowest - 1].name
        return Later(after=after, name=name, left=_floats(left), ticket=ticket)

    def settle(self, tenant_id: str, wants: Sequence[Want]) -> None:
        if wants:
            self._call("settle", tenant_id, wants, kinds=_LINE)

    def left(self, tenant_id: str, wants: Sequence[Want]) -> tuple[float, ...]:
        return _floats(self._call("look", tenant_id, wants)) if wants else ()

    def _call(
        self, decision: _Decision, tenant_id: str, wants: Sequence[Want], *own: str, kinds: Sequence[str] = _BUCKET
    ) -> list[Any]:
        keys = [f"{self._prefix}:{kind}:{tenant_id}:{want.name}" for kind in kinds for want in wants]
        numbers = [repr(float(part)) for want in wants for part in (want.amount, want.rate, want.burst)]
        arguments = [time_of(self._clock), *numbers, *own]
        try:
            answer = self._scripts[decision](keys=[f"{self._prefix}:buckets:born", *keys], args=arguments)
        except RedisError as error:
            raise BucketsUnavailable(type(error).__name__) from error
        return cast(list[Any], answer)


def _floats(texts: Sequence[str]) -> tuple[float, ...]:
    return tuple(map(float, texts))
