"""The token buckets in memory, for one process: the twin of `redis_buckets.py` in tests and scripts.

It decides like the Lua file, moved by whatever clock it is given. Its buckets begin full, because nothing can have been
taken before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from threading import Lock
from typing import Literal

from celeriac.clock import Clock
from celeriac.platform.flow.buckets import Later, Taken, Want

#: a promise that nobody came for is void after this time
_GRACE = timedelta(seconds=5)

_Mode = Literal["take", "queue", "back", "settle", "look"]


@dataclass(kw_only=True)
class _Bucket:
    tokens: float
    at: datetime
    promised: float = 0.0
    due: datetime


class LocalBuckets:
    """The buckets of a single process."""

    def __init__(self, clock: Clock) -> None:
        """Start with full buckets."""
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def begin(self) -> None:
        """Have nothing to do: the buckets are full."""

    def take(self, tenant_id: str, wants: Sequence[Want]) -> Taken | Later:
        return self._decide("take", tenant_id, wants)

    def queue(self, tenant_id: str, wants: Sequence[Want], *, was_promised: bool) -> Taken | Later:
        return self._decide("back" if was_promised else "queue", tenant_id, wants)

    def settle(self, tenant_id: str, wants: Sequence[Want]) -> None:
        self._decide("settle", tenant_id, wants)

    def left(self, tenant_id: str, wants: Sequence[Want]) -> tuple[float, ...]:
        return self._decide("look", tenant_id, wants).left

    def _decide(self, mode: _Mode, tenant_id: str, wants: Sequence[Want]) -> Taken | Later:
        with self._lock:
            now = self._clock.now()
            buckets = [self._refilled(tenant_id, want, now) for want in wants]
            waits = [_wait(bucket, want, mode) for bucket, want in zip(buckets, wants, strict=True)]
            longest = max(waits, default=timedelta(0))
            is_taken = mode == "settle" or (mode != "look" and not longest)
            for bucket, want in zip(buckets, wants, strict=True):
                if is_taken:
                    bucket.tokens = min(want.burst, bucket.tokens - want.amount)
                    if mode == "back":
                        bucket.promised = max(0.0, bucket.promised - want.amount)
                elif mode == "queue":
                    bucket.promised += want.amount
                if not is_taken and mode in ("queue", "back"):
                    bucket.due = max(bucket.due, now + longest)
            left = tuple(bucket.tokens for bucket in buckets)
            if is_taken or not wants or mode == "look":
                return Taken(left=left)
            return Later(after=longest, name=wants[waits.index(longest)].name, left=left)

    def _refilled(self, tenant_id: str, want: Want, now: datetime) -> _Bucket:
        full = _Bucket(tokens=want.burst, at=now, due=now)
        bucket = self._buckets.setdefault((tenant_id, want.name), full)
        earned = max(0.0, (now - bucket.at).total_seconds()) * want.rate
        bucket.tokens, bucket.at = min(want.burst, bucket.tokens + earned), max(now, bucket.at)
        if bucket.due + _GRACE < now:
            bucket.promised = 0.0
        return bucket


def _wait(bucket: _Bucket, want: Want, mode: _Mode) -> timedelta:
    free = bucket.tokens - (bucket.promised if mode in ("take", "queue") else 0.0)
    missing = min(want.amount, want.burst) - free
    return timedelta(microseconds=ceil(missing / want.rate * 1_000_000)) if missing > 0 else timedelta(0)
