"""Token buckets: how much of something a tenant may take over time, the same for all processes.

The meter talks to this protocol; `store/redis_buckets.py` keeps the buckets in Redis with one Lua file a decision,
`store/local_buckets.py` in memory. A bucket is refilled at its rate up to its burst. A take gets all that it asks for
or nothing, of several buckets at once. Buckets are hints like all that is in Redis: after a loss they are empty, so
nobody gets a second burst by it.

Answers tell how long to wait and not until when, as the clock of Redis is not that of who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Want:
    """What is asked of one bucket."""

    #: unique inside the tenant
    name: str
    amount: float
    #: tokens that are refilled each second, and tokens that may be saved up, as they are now: both may change any time
    rate: float
    burst: float


@dataclass(frozen=True, kw_only=True)
class Taken:
    """All was there, and is taken."""

    #: what is left in each bucket, in their order
    left: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Later:
    """Something is missing; nothing was taken."""

    #: after this time all will be there, unless others are faster
    after: timedelta
    #: the bucket that takes the longest
    name: str
    left: tuple[float, ...]
    #: the place of who lined up, to be shown at each return; None where there is no line
    ticket: int | None = None


class BucketsUnavailable(Exception):
    """The buckets cannot be asked now."""


class Buckets(Protocol):
    """Decides atomically; every method may be called by any process at any time, and raises `BucketsUnavailable`."""

    def begin(self) -> None:
        """Let the buckets fill from now on, where nobody has asked for any before."""
        ...

    def take(self, tenant_id: str, wants: Sequence[Want]) -> Taken | Later:
        """Take all amounts, or none of them.

        An amount that is larger than its bucket can hold takes a full bucket, and the rest as a debt.
        """
        ...

    def queue(self, tenant_id: str, wants: Sequence[Want], *, ticket: int | None) -> Taken | Later:
        """Take all amounts in the order of the tickets, or line up: the answer then has a ticket.

        Each is told a time of its own, so that those who wait do not come back at once. Who comes back, at that time or
        any other, shows its ticket and has its place; None gets the last one. What is promised to lower tickets is kept
        for them until nobody has come for it: as much as a full bucket has no room for, and all of it once the bucket
        has been full for five seconds, or for the time that it takes to fill where that is longer. A bucket at which
        some line up is not also taken from by `take`.
        """
        ...

    def settle(self, tenant_id: str, wants: Sequence[Want]) -> None:
        """Take more than was taken, or give back where an amount is negative, whatever the buckets hold."""
        ...

    def left(self, tenant_id: str, wants: Sequence[Want]) -> tuple[float, ...]:
        """Return what the buckets hold, taking nothing; below zero is a debt."""
        ...
