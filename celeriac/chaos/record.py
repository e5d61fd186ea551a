"""The record: what the play itself did and saw, with times, for the judge to hold the outcome against.

Times are the machine's monotonic clock, as in the effect log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

#: `death`: processes that ended without a warning; `silence`: processes that could reach nobody, or the database not;
#: `database` and `redis`: a server that did not answer, or had lost what it held; `messages`: some were lost;
#: `slow`: connections with delays; `load`: steps that hold a worker up; `machine`: it had more to do than it could;
#: `none`: it should not be felt at all
TroubleKind = Literal["death", "silence", "database", "redis", "messages", "slow", "load", "machine", "none"]


@dataclass(kw_only=True)
class Trouble:
    """A stretch of time in which something was wrong on purpose."""

    kind: TroubleKind
    since: float
    until: float
    #: whom it concerned; everybody where it is empty
    pids: tuple[int, ...] = ()
    #: the fault that made it, as `F4:flushed`
    fault: str = ""
    #: whether a worker that should have gone on did, of whom nobody had asked it
    is_unasked: bool = False
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Departure:
    """A worker that was asked to leave."""

    pid: int
    asked_at: float
    gone_at: float
    exit_code: int


@dataclass(kw_only=True)
class Record:
    """Everything that was noted during one play."""

    troubles: list[Trouble] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)
    #: when each worker process had joined the fleet
    joined: dict[int, float] = field(default_factory=dict)
    #: told whenever something is noted
    tell: Callable[[str], None] = lambda _: None

    def note(self, trouble: Trouble) -> Trouble:
        """Keep a trouble; its `until` may still grow."""
        self.troubles.append(trouble)
        self.tell(f"{trouble.fault or 'unasked'} {trouble.kind}{f' of {trouble.pids}' if trouble.pids else ''}")
        return trouble

    @contextmanager
    def during(self, kind: TroubleKind, fault: str, pids: tuple[int, ...] = (), detail: str = "") -> Iterator[Trouble]:
        """Note a trouble that lasts as long as the block."""
        now = time.monotonic()
        trouble = self.note(Trouble(kind=kind, since=now, until=float("inf"), pids=pids, fault=fault, detail=detail))
        try:
            yield trouble
        finally:
            trouble.until = time.monotonic()
