"""Limits: frozen values that a function declares about when its runs start."""

from __future__ import annotations

from dataclasses import dataclass

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
