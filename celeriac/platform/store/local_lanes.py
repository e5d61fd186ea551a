"""The lanes of the gate in memory: which runs it knows, and whose turn it is.

Only `local_gate.py` calls it, under its lock. Nothing here knows what a run needs.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count

from celeriac.platform.flow.gate import Queued

RESUME, INTERNAL, START = 0, 1, 2

#: Most seconds by which a priority moves a start.
MOST_PRIORITY = 43_200

#: The band, the age less the priority, and the arrival.
_Rank = tuple[int, datetime, int]


@dataclass(kw_only=True)
class _Known:
    run: Queued
    rank: _Rank
    #: set when the run is picked: until then it counts as on its way
    deadline: datetime | None = None


@dataclass(kw_only=True)
class _Lane:
    #: a lane that was picked later goes later
    turn: int
    #: (rank, run id) in order
    runs: list[tuple[_Rank, str]] = field(default_factory=list)


class LocalLanes:
    """The runs that wait or are on their way, and the turns of tenants and lanes."""

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[str, _Known] = {}
        self._lanes: dict[tuple[str, str], dict[tuple[str, ...], _Lane]] = {}
        self._stamps = count(1)
        #: the turn of the last pick by queue, and the next turn of each tenant
        self._turn: dict[str, float] = {}
        self._next_turn: dict[tuple[str, str], float] = {}
        #: tenants that may be picked: they keep their turns
        self._ring: set[tuple[str, str]] = set()

    def current(self, run_id: str, now: datetime) -> Queued | None:
        """Return the run that waits, or is on its way and within its deadline."""
        known = self._known.get(run_id)
        if known and known.deadline is not None and known.deadline <= now:
            del self._known[run_id]
            return None
        return known.run if known else None

    def is_waiting(self, run_id: str) -> bool:
        """Say whether the run stands in a lane."""
        return run_id in self._known and self._known[run_id].deadline is None

    def put(self, run: Queued, now: datetime, *, holds: bool) -> None:
        """Put the run into its lane, unless it is known under this fence or a newer one.

        `holds` tells that a pick of it came to nothing, and that it still holds something by that.
        """
        known = self.current(run.run_id, now)
        if known and known.fence >= run.fence:
            return
        self.withdraw(run.run_id)
        band = RESUME if run.is_resume or holds else INTERNAL if run.is_internal else START
        since = (run.queued_at or now) - timedelta(seconds=_sooner(run))
        self._put_at((band, since, next(self._stamps)), run)

    def move(self, run: Queued) -> None:
        """Put a run that waits into the lane that it belongs to now; it keeps its age."""
        known = self._known.get(run.run_id)
        if known and known.deadline is None and known.run.fence == run.fence and _lane_of(known.run) != _lane_of(run):
            self.withdraw(run.run_id)
            self._put_at(known.rank, run)

    def _put_at(self, rank: _Rank, run: Queued) -> None:
        self._known[run.run_id] = _Known(run=run, rank=rank)
        if (run.queue, run.tenant_id) not in self._lanes:
            self._join(run.queue, run.tenant_id)
        lanes = self._lanes.setdefault((run.queue, run.tenant_id), {})
        lane = lanes.get(_lane_of(run)) or lanes.setdefault(_lane_of(run), _Lane(turn=next(self._stamps)))
        insort(lane.runs, (rank, run.run_id))

    def withdraw(self, run_id: str) -> None:
        """Forget the run; a lane without runs is no more, and neither is its turn."""
        known = self._known.pop(run_id, None)
        if known is None or known.deadline is not None:
            return
        place, name = (known.run.queue, known.run.tenant_id), _lane_of(known.run)
        lanes = self._lanes[place]
        lanes[name].runs.remove((known.rank, run_id))
        if not lanes[name].runs:
            del lanes[name]
        if not lanes:
            del self._lanes[place]
            self._ring.discard(place)

    def forget(self, run_id: str, fence: int) -> None:
        """Forget a run that was claimed under this fence."""
        if run_id in self._known and self._known[run_id].run.fence <= fence:
            self.withdraw(run_id)

    def on_its_way(self, run: Queued, until: datetime) -> None:
        """Note that the run is picked: the lane in which it stood goes to the end."""
        known = self._known.get(run.run_id)
        lane = self._lanes.get((run.queue, run.tenant_id), {}).get(_lane_of(run))
        self.withdraw(run.run_id)
        if lane is not None and known is not None and known.deadline is None:
            lane.turn = next(self._stamps)
        rank = known.rank if known else (RESUME, until, 0)
        self._known[run.run_id] = _Known(run=run, rank=rank, deadline=until)

    def waiting(self, queue: str) -> int:
        """Return how many runs stand in the lanes of the queue."""
        return sum(
            len(lane.runs) for place, lanes in self._lanes.items() if place[0] == queue for lane in lanes.values()
        )

    def heads(self, queue: str, tenant_id: str) -> list[Queued]:
        """Return the first run of each lane, in the order in which they are looked at."""
        lanes = self._lanes.get((queue, tenant_id), {}).values()
        inorder = sorted((lane.runs[0][0][0], lane.turn, lane.runs[0][1]) for lane in lanes)
        return [self._known[run_id].run for _, _, run_id in inorder]

    def standing(self, queue: str, tenant_id: str) -> int:
        """Return how many runs of the tenant stand in its lanes of the queue."""
        return sum(len(lane.runs) for lane in self._lanes.get((queue, tenant_id), {}).values())

    def tenants(self, queue: str) -> list[str]:
        """Return the tenants that have a run in a lane of the queue."""
        return [tenant for lane_queue, tenant in self._lanes if lane_queue == queue]

    def queues(self, tenant_id: str) -> list[str]:
        """Return the queues on which the tenant has a run in a lane."""
        return [queue for queue, lane_tenant in self._lanes if lane_tenant == tenant_id]

    def band(self, run: Queued) -> int:
        """Return in which band of its lane a run stands that waits."""
        return self._known[run.run_id].rank[0]

    def since(self, run: Queued) -> datetime:
        """Return since when a run waits."""
        return self._known[run.run_id].rank[1] + timedelta(seconds=_sooner(run))

    def ahead_of(self, run: Queued, band: int) -> int:
        """Return how many runs of this band and those after it stand before the run in its lane."""
        lane = self._lanes[run.queue, run.tenant_id][_lane_of(run)]
        rank = self._known[run.run_id].rank
        return sum(band <= other[0] and other < rank for other, _ in lane.runs)

    def in_turn(self, queue: str, pick_from: Callable[[str], float | None]) -> Iterator[None]:
        """Ask the tenants in turn until none can go; `pick_from` picks one and returns what it cost of a turn.

        Who cannot go leaves the ring until the next time, unless `pass_over` is called for it.
        """
        for tenant in self.tenants(queue):
            self._join(queue, tenant)
        ring = [(self._next_turn[queue, tenant], tenant) for tenant in self.tenants(queue)]
        heapify(ring)
        while ring:
            turn, tenant = heappop(ring)
            self._ring.discard((queue, tenant))
            cost = pick_from(tenant)
            if cost is None:
                continue
            self._turn[queue] = turn
            self._next_turn[queue, tenant] = turn + cost
            if (queue, tenant) in self._lanes:
                self._ring.add((queue, tenant))
                heappush(ring, (turn + cost, tenant))
            self._forget_turns(queue)
            yield

    def pass_over(self, queue: str, tenant_id: str) -> None:
        """Let a tenant that may not have the slots that are left keep its turn."""
        self._ring.add((queue, tenant_id))

    def _forget_turns(self, queue: str) -> None:
        """Forget the turns of tenants outside the ring that are no later than where the ring has come to."""
        now = self._turn[queue]
        gone = [place for place, turn in self._next_turn.items() if place[0] == queue and turn <= now]
        for place in gone:
            if place not in self._ring:
                del self._next_turn[place]

    def _join(self, queue: str, tenant_id: str) -> None:
        """Let a tenant stand in the ring, not before the turn that the ring has come to."""
        place = queue, tenant_id
        if place not in self._ring:
            self._ring.add(place)
            self._next_turn[place] = max(self._next_turn.get(place, 0.0), self._turn.get(queue, 0.0))


def _sooner(run: Queued) -> int:
    return 0 if run.is_resume else max(-MOST_PRIORITY, min(MOST_PRIORITY, run.priority))


def _lane_of(run: Queued) -> tuple[str, ...]:
    return run.function, *(f"pool:{pool.name}" for pool in run.pools), *([f"pace:{run.pace.name}"] if run.pace else [])
