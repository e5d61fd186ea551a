"""A crowd before the buckets: callers who ask, wait as they are told, and come back with their tickets."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bucket_stage import TENANT

from celeriac.clock import ManualClock
from celeriac.platform.flow.buckets import Buckets, Later, Want


@dataclass
class Crowd:
    """Moves the clock to whoever comes next, until all have what they want or the time is over."""

    buckets: Buckets
    clock: ManualClock
    #: how much later than it was told each comes back, and when it does where that is before
    late: float = 0.05
    comes_back: Callable[[timedelta], timedelta] = lambda after: after
    #: who got what it wanted, and after how many seconds since the beginning
    served: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    _began: datetime | None = None
    _coming: list[tuple[float, int, str, Want, int | None]] = field(default_factory=list)

    def add(self, name: str, one: Want, *, at: float) -> None:
        """Let a caller ask for the first time at that second."""
        self._come(at, name, one, None)

    def run(self, seconds: float) -> None:
        """Let those come who come until then."""
        self._began = self._began or self.clock.now()
        while self._coming and self._coming[0][0] <= seconds:
            at, _, name, one, ticket = heapq.heappop(self._coming)
            ahead = at - self._seconds()
            self.clock.advance(max(0.0, ahead))
            self.asked += 1
            answer = self.buckets.queue(TENANT, [one], ticket=ticket)
            if isinstance(answer, Later):
                self._come(at + self.comes_back(answer.after).total_seconds() + self.late, name, one, answer.ticket)
            else:
                self.served[name] = self._seconds()
        self.clock.advance(max(0.0, seconds - self._seconds()))

    def _come(self, at: float, name: str, one: Want, ticket: int | None) -> None:
        heapq.heappush(self._coming, (at, len(self._coming) + self.asked, name, one, ticket))

    def _seconds(self) -> float:
        assert self._began is not None
        return (self.clock.now() - self._began).total_seconds()
