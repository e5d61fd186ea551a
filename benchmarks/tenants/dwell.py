"""Dwell: how long a run stands before its first step starts, counted from when its event was accepted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.fleet import Servers
from benchmarks.tenants.crowd import Crowd, Durations, Shape, burst
from benchmarks.tenants.site import Member, Site, percentile, site_on

#: the slots of the fleet: two workers of four
WORKERS, CONCURRENCY = 2, 4
SLOTS = WORKERS * CONCURRENCY
QUIET_TENANTS = 9

_STARTS = """
SELECT e.received_at, min(s.started_at) FROM events e
JOIN runs r ON r.event_id = e.id AND r.tenant_id = e.tenant_id
JOIN steps s ON s.run_id = r.id AND s.tenant_id = r.tenant_id
WHERE e.tenant_id = ANY(?) AND NOT e.is_internal AND e.received_at >= ? AND e.received_at < ?
GROUP BY e.id, e.received_at ORDER BY e.received_at"""


@dataclass(frozen=True, kw_only=True)
class Start:
    """A quiet run: when its event was accepted (microseconds), and how long it stood then (milliseconds)."""

    at: int
    dwell: float


@dataclass(frozen=True, kw_only=True)
class Burst:
    """What a burst did to the quiet: their starts from its post until its last run had ended, and those after it."""

    shape: Shape
    runs: int
    posted_at: int
    drained_at: int
    starts: tuple[Start, ...]
    after: tuple[Start, ...]

    @property
    def seconds(self) -> float:
        """From the post until the last run had ended."""
        return (self.drained_at - self.posted_at) / 1_000_000

    def dwell(self, percent: int) -> float:
        """Return a percentile of the quiet tenants' dwell while the burst lasts."""
        return dwell_of(self.starts, percent)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is played on one site: quiet tenants alone, then bursts beside them, one after the other."""

    durations: Durations
    #: how often each quiet tenant posts, a second
    rate: float = 1.0
    alone_seconds: float
    bursts: tuple[tuple[Shape, int], ...]
    #: how long is looked on after the last burst
    after_seconds: float = 0.0
    is_fifo: bool = False


@dataclass(frozen=True, kw_only=True)
class Play:
    """What came of a plan."""

    alone: tuple[Start, ...]
    bursts: tuple[Burst, ...]


_played: dict[tuple[str, Plan], Play] = {}


def play(servers: Servers, plan: Plan) -> Play:
    """Play the plan; recipes that look at the same one share its play."""
    known = (servers.redis_url, plan)
    if known not in _played:
        with site_on(servers, is_fifo=plan.is_fifo) as site:
            _played[known] = _play(site, plan)
    return _played[known]


def dwell_of(starts: Sequence[Start], percent: int) -> float:
    """Return a percentile of the dwell in milliseconds; infinity where nothing started."""
    return percentile([start.dwell for start in starts], percent)


def _play(site: Site, plan: Plan) -> Play:
    quiet, [noisy] = site.add_tenants(QUIET_TENANTS), site.add_tenants(1)
    site.start_web()
    site.start_workers(WORKERS, CONCURRENCY)
    quiet_ids = [member.tenant_id for member in quiet]
    bursts = []
    with Crowd(site.urls[0], quiet, plan.durations, rate=plan.rate):
        began = site.now()
        time.sleep(plan.alone_seconds)
        for shape, runs in plan.bursts:
            bursts.append((shape, runs, *_burst(site, noisy, shape, runs, plan.durations)))
            time.sleep(1.0)
        time.sleep(plan.after_seconds)
    ended = site.now()
    site.wait_for_end(quiet_ids, within=60)
    first = bursts[0][2] if bursts else ended
    return Play(
        alone=_starts(site, quiet_ids, began, first),
        bursts=tuple(
            Burst(
                shape=shape,
                runs=runs,
                posted_at=posted,
                drained_at=drained,
                starts=_starts(site, quiet_ids, posted, drained),
                after=_starts(site, quiet_ids, drained, ended),
            )
            for shape, runs, posted, drained in bursts
        ),
    )


def _burst(site: Site, noisy: Member, shape: Shape, runs: int, durations: Durations) -> tuple[int, int]:
    """Post the runs, wait until they have ended, and return both moments."""
    posted = site.now()
    burst(site.urls[0], noisy, shape, runs, durations)()
    site.wait_for_end([noisy.tenant_id])
    [[count, drained]] = site.fleet.query(
        "SELECT count(*), max(ended_at) FROM runs WHERE tenant_id = ? AND created_at >= ? AND status = 'completed'",
        noisy.tenant_id,
        posted,
    )
    if count != runs:
        raise RuntimeError(f"{count} of {runs} runs of the burst completed; no figure is of worth")
    return posted, int(drained)


def _starts(site: Site, tenant_ids: list[str], since: int, until: int) -> tuple[Start, ...]:
    rows = site.fleet.query(_STARTS, tenant_ids, since, until)
    return tuple(Start(at=row[0], dwell=(row[1] - row[0]) / 1000) for row in rows)
