"""The token buckets in memory, for one process: the twin of `redis_buckets.py` in tests and scripts.

It decides like the Lua files, moved by whatever clock it is given. Its buckets begin full, because nothing can have
been taken before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Lock

from celeriac.clock import Clock
from celeriac.platform.flow.buckets import Later, Taken, Want

#: a bucket that has been full for so long, and as long as it takes to fill, keeps nothing back any more (microseconds)
_PATIENCE = 5_000_000
#: what fractions of amounts are rounded by, and those of microseconds
_NOTHING, _ROUNDED = 1e-6, 0.001
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(kw_only=True)
class _Bucket:
    tokens: float
    #: in microseconds, as all times here
    at: int
    #: since when it is full
    full: float | None = None
    #: what is promised, by ticket
    line: dict[int, float] = field(default_factory=dict)
    next: int = 0


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
        with self._lock:
            buckets, _ = self._refilled(tenant_id, wants)
            missing = [min(want.amount, want.burst) - one.tokens for one, want in zip(buckets, wants, strict=True)]
            waits = [ceil(max(0.0, one) / want.rate * 1_000_000) for one, want in zip(missing, wants, strict=True)]
            return _answer(buckets, wants, waits)

    def queue(self, tenant_id: str, wants: Sequence[Want], *, ticket: int | None) -> Taken | Later:
        with self._lock:
            buckets, now = self._refilled(tenant_id, wants)
            newest = max((bucket.next for bucket in buckets), default=0)
            if ticket is None:
                ticket = newest or now
            waits = []
            for bucket, want in zip(buckets, wants, strict=True):
                bucket.line.pop(ticket, None)
                bucket.next = max(newest, ticket + 1)
                needed = min(want.amount, want.burst) + _promised_before(bucket, ticket)
                waits.append(max(0, ceil((needed - bucket.tokens) / want.rate * 1_000_000 - _ROUNDED)))
            if any(waits):
                for bucket, want in zip(buckets, wants, strict=True):
                    _promise(bucket, ticket, want.amount)
            return _answer(buckets, wants, waits, ticket)

    def settle(self, tenant_id: str, wants: Sequence[Want]) -> None:
        with self._lock:
            buckets, now = self._refilled(tenant_id, wants)
            for bucket, want in zip(buckets, wants, strict=True):
                _lower(bucket, want)
                if bucket.tokens == want.burst and bucket.full is None:
                    bucket.full = now

    def left(self, tenant_id: str, wants: Sequence[Want]) -> tuple[float, ...]:
        with self._lock:
            return tuple(bucket.tokens for bucket in self._refilled(tenant_id, wants)[0])

    def _refilled(self, tenant_id: str, wants: Sequence[Want]) -> tuple[list[_Bucket], int]:
        """Return the buckets as they are now; what was promised and ran over is void."""
        now = (self._clock.now() - _EPOCH) // timedelta(microseconds=1)
        buckets = []
        for want in wants:
            fresh = _Bucket(tokens=want.burst, at=now)
            bucket = self._buckets.setdefault((tenant_id, want.name), fresh)
            _refill(bucket, want, now)
            buckets.append(bucket)
        return buckets, now


def _refill(bucket: _Bucket, want: Want, now: int) -> None:
    room = max(0.0, want.burst - bucket.tokens)
    earned = max(0, now - bucket.at) * want.rate / 1_000_000
    if earned < room:
        bucket.full = None
    else:
        if bucket.full is None:
            bucket.full = bucket.at + room / want.rate * 1_000_000
        if now - bucket.full >= max(_PATIENCE, want.burst / want.rate * 1_000_000):
            bucket.line.clear()
        else:
            _void(bucket, earned - room)
    bucket.tokens, bucket.at = min(want.burst, bucket.tokens + earned), max(now, bucket.at)


def _void(bucket: _Bucket, worth: float) -> None:
    """Make promises of that worth void, the oldest first."""
    for ticket in sorted(bucket.line):
        if worth <= _NOTHING:
            return
        amount = bucket.line.pop(ticket)
        _promise(bucket, ticket, amount - worth)
        worth -= amount


def _promise(bucket: _Bucket, ticket: int, amount: float) -> None:
    if amount > _NOTHING:
        bucket.line[ticket] = amount


def _promised_before(bucket: _Bucket, ticket: int) -> float:
    return sum(amount for other, amount in bucket.line.items() if other < ticket)


def _lower(bucket: _Bucket, want: Want) -> None:
    bucket.tokens = min(want.burst, bucket.tokens - want.amount)
    if bucket.tokens < want.burst:
        bucket.full = None


def _answer(
    buckets: Sequence[_Bucket], wants: Sequence[Want], waits: Sequence[int], ticket: int | None = None
) -> Taken | Later:
    """Take from the buckets where nothing is to be waited for."""
    longest = max(waits, default=0)
    if not longest:
        for bucket, want in zip(buckets, wants, strict=True):
            _lower(bucket, want)
        return Taken(left=tuple(bucket.tokens for bucket in buckets))
    left = tuple(bucket.tokens for bucket in buckets)
    after, name = timedelta(microseconds=longest), wants[waits.index(longest)].name
    return Later(after=after, name=name, left=left, ticket=ticket)
