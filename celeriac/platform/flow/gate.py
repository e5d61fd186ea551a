"""The Gate: what decides which queued run starts next.

The engine, ingest and the worker's ticks talk to this protocol; `store/redis_gate.py` keeps it in Redis with one Lua
file a decision, `store/local_gate.py` in memory. The Gate holds hints only: all of it can be lost and is rebuilt from
the store by reconcile, and a wrong or doubled pick is harmless because the claim is a compare-and-set in SQL.

A queued run stands in a lane: the runs of one queue, tenant and function that name the same pools and pace. A pick
asks the tenant first, by virtual time: each pick costs a tenant one turn divided by its weight, and who was away joins
at the turn of the moment. Then come the tenant's lanes in turn, those with a resume at their head before the others;
and in a lane resumes, then starts that need no token, then starts; each by the time since which they are queued, starts
less their priority. What is rebuilt stands in that order again. A run whose pick came to nothing, and which still holds
something, goes with the resumes: whoever stands before it would wait for what it holds.

A pick takes all that the run needs or nothing: a slot of its tenant's running links, one of each of its pools, room on
the workers, and where it starts a token of its tenant's bucket and its turn in its pace. A lane that lacks something
is not looked at again until it may be there, so nobody waits behind it.

About a quarter of a queue's slots is closed to noisy tenants, until five seconds after a quiet one had its last run
picked. A tenant is noisy with more than a tenth of the slots and at least 30 links in flight, both times its weight
where that is more than 1. On fewer than 40 slots that is one that has more than a tenth of them and more runs waiting,
or three quarters of them. Quiet is who is not noisy and has nothing left waiting: who has takes itself what is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

#: what a queued run may wait for: its tenant's running links or starts, one of its pools, its pace, slots that are
#: closed to noisy tenants, room on the workers, or only its turn
Reason = Literal["running", "starts", "pool", "pace", "noisy", "room", "turn"]


@dataclass(frozen=True, kw_only=True)
class TenantLimits:
    """What a tenant may take; the defaults are generous."""

    #: links running at the same time
    running: int = 1_000
    #: run starts that are refilled each second
    starts_per_second: float = 1_000.0
    #: run starts that may be saved up
    starts_burst: int = 5_000
    #: its share beside other tenants who wait: one with 2 is picked twice as often as one with 1
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The slots of one of a run's concurrency limits, shared by all runs of its tenant that name the pool alike."""

    #: unique inside the tenant; made from the limit's scope and the value of its key when the run begins
    name: str
    #: as declared now; the newest holds for all who share the pool
    slots: int
    #: whether the slot is held from the run's start to its end, also while it is parked, and not by each link alone
    is_for_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Pace:
    """A throttle of run starts (GCRA): `starts` in each `per`, at most `burst` of them at the same moment."""

    #: unique inside the tenant, as of a pool
    name: str
    starts: int
    per: timedelta
    burst: int = 1


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A run that waits for its next link, as the Gate has to know it.

    `fence` is the one that the next claim will take: the run's fence in SQL plus one. It names the slot.
    """

    run_id: str
    tenant_id: str
    queue: str
    fence: int
    #: whether the run has begun already; a resume takes no start token and goes before starts
    is_resume: bool = False
    #: whether the platform's own events started it; such a start takes no token
    is_internal: bool = False
    #: since when it is queued in the truth, by the database's clock: its age; None: it is as old as its arrival
    queued_at: datetime | None = None
    #: the chain of Celery tasks that the next link goes on
    root_id: str | None = None
    parent_id: str | None = None
    limits: TenantLimits = field(default_factory=TenantLimits)
    #: `app/function_id`; with the names of `pools` and `pace` it tells which lane of its tenant the run stands in
    function: str = ""
    pools: tuple[Pool, ...] = ()
    pace: Pace | None = None
    #: seconds by which its start goes before others of its lane, or after them where it is negative
    priority: int = 0
    #: of a link that has ended: whether its run has, so that what is held for the run is free as well
    is_over: bool = False


@dataclass(frozen=True, kw_only=True)
class Holdup:
    """Why a queued run is not picked now."""

    reason: Reason
    #: of the pool or pace that it waits for
    name: str | None = None
    #: when it may be different by time alone; none where that needs a link or a run to end, or a worker to come
    until: datetime | None = None


class Gate(Protocol):
    """Decides atomically; every method may be called by any process at any time, and twice."""

    def enqueue(self, runs: Sequence[Queued]) -> None:
        """Put runs into their lanes; one that stands there or is picked under the same fence stays as it is.

        The limits, pools and pace of what arrives are learned, here and in every other method that takes them.
        """
        ...

    def pick(
        self, queue: str, most: int, *, ended: Sequence[Queued] = (), arriving: Sequence[Queued] = ()
    ) -> list[Queued]:
        """Free the slots of links that have ended, enqueue what arrives, then take at most `most` runs that may start.

        Nor more than live workers have room for: that is the sum of the capacities of the live workers on the queue
        times 1.2, rounded up, less the slots taken on it. Each picked run holds its tenant's slot and those of its
        pools until it is given back as `ended` or by `release`, or until they expire. What is held for the run and not
        for the link stays until a link of it is given back that `is_over`.
        """
        ...

    def proceed(self, run: Queued) -> bool:
        """Say whether the run's next link may follow at once: true when nobody else waits on its queue.

        `run.fence` is the next link's. True: all slots of the link that ends are passed on. False: they are free and
        the run stands in its lane.
        """
        ...

    def started(self, run: Queued) -> bool:
        """Note that the run was claimed under `run.fence`: it is no longer on its way. Say whether it may execute.

        True: it holds its slots; they were taken anew where the pick's are gone, because the message was long on its
        way or Redis was emptied. False: others have them by now, and the run holds nothing that it did not begin with.
        """
        ...

    def renew(self, runs: Sequence[Queued]) -> None:
        """Put off the expiry of the slots of links that are executing, and take anew those that are gone."""
        ...

    def forget(self, run_id: str) -> None:
        """Drop a run that ended while it stood in a lane, was on its way or was parked, with all that it holds.

        The slots of a link that executes stay; they are that link's to give back.
        """
        ...

    def settle(self, run_ids: Sequence[str]) -> None:
        """Do as `forget` for many runs that have ended."""
        ...

    def release(self, run_id: str, fence: int) -> None:
        """Free the slots of exactly this link; those of another fence stay, and so does what is held for the run."""
        ...

    def learn(self, runs: Sequence[Queued]) -> None:
        """Note the newest limits, pools and paces that these runs carry, and let go what may go by them.

        They hold for all that is queued already: a tenant's limits for the tenant, a pool's slots for the runs of the
        same function that share the pool, a pace for those that share it. The runs themselves need not be queued; one
        that stands in a lane moves where its pools or pace are others than before, and keeps its age.
        """
        ...

    def hold_runs(self, runs: Sequence[Queued]) -> None:
        """Confirm that these runs have begun and not ended: each holds its pools that are for the run.

        Reconcile tells it page by page, so that what Redis lost is there again. Such a slot lasts a day without word.
        """
        ...

    def unconfirmed(self, most: int) -> list[str]:
        """Return runs for which a pool is held, and of which nothing was heard for a minute, the longest silent first.

        Reconcile looks them up: those that live are confirmed by `hold_runs`, the others given to `settle`.
        """
        ...

    def explain(self, run_id: str) -> Holdup | None:
        """Say why a queued run is not picked now; none where it does not stand in a lane."""
        ...

    def known(self, run_ids: Sequence[str]) -> set[str]:
        """Return which of the runs stand in a lane or are picked and within their deadline."""
        ...

    def attend(self, worker_id: str, queues: Sequence[str], capacity: int) -> None:
        """Note that the worker lives and takes `capacity` links at once; forgotten after the dead time."""
        ...

    def leave(self, worker_id: str) -> None:
        """Forget the worker's capacity at once."""
        ...

    def waiting(self, queue: str) -> int:
        """Return how many runs stand in the lanes of the queue."""
        ...
