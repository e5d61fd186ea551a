"""Limits: frozen values that a function declares about when its runs start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from celeriac.clock import Duration


@dataclass(frozen=True)
class Debounce:
    """Start once no event of the key has come for `period`, with the last one by its `ts`.

    `max_wait` is the longest that the first event is kept waiting. `period` is 1 s to 7 days.
    """

    period: Duration
    key: str | None = None
    max_wait: Duration | None = None


@dataclass(frozen=True)
class Batch:
    """Start one run for up to `size` events of the key, at the latest `timeout` after the first, or at 10 MiB.

    An event of which `if_` does not hold starts a run of its own at once. `ctx.events` has all of them.
    """

    size: int
    timeout: Duration
    key: str | None = None
    if_: str | None = None


@dataclass(frozen=True)
class Concurrency:
    """Let at most `limit` links of the key execute at a time; the others wait in their lane.

    Each tenant has its own count. `scope` says which functions share it: this one, all of the app, or all of the
    tenant; each compares the shared count with its own limit. With `hold="run"` the slot is held from the start of
    the run to its end, also while it sleeps or waits. A function has at most two, and all of them must admit.
    """

    limit: int
    key: str | None = None
    scope: Literal["function", "app", "tenant"] = "function"
    hold: Literal["step", "run"] = "step"


@dataclass(frozen=True)
class Throttle:
    """Let `limit` runs of the key start in each `per`, evenly spread; the others wait in their lane.

    At most `burst` start at the same moment, where none has for long enough.
    """

    limit: int
    per: Duration
    key: str | None = None
    burst: int = 1


@dataclass(frozen=True)
class RateLimit:
    """Let at most `limit` runs of the key begin within any span of `per`; events beyond it are skipped, not kept."""

    limit: int
    per: Duration
    key: str | None = None


@dataclass(frozen=True)
class Singleton:
    """Let one run of the key exist at a time: a new one is skipped, or cancels the one that is there."""

    key: str | None = None
    mode: Literal["skip", "cancel"] = "skip"


@dataclass(frozen=True)
class Priority:
    """Let a run start as if it had come so many seconds earlier: a number, or an expression over `event`."""

    seconds: str | int
