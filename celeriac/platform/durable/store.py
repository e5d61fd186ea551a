"""The Store: what the engine asks of the truth.

`store/sql_store.py` keeps it in SQLite or Postgres, `store/local_store.py` in memory; one conformance suite holds for
all. Every method is one transaction, callable from any thread, and raises `StoreUnavailable` when the database does
not answer. Moves of a run are compare-and-set on its status and fence (`platform/run.py` holds the table).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.declared import Declared
from celeriac.platform.durable.memo import Entry, Memo, OutgoingEvent, Wait
from celeriac.platform.durable.placed import Placements
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import Run, Status


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """An event that was taken in; a duplicate carries the id of the first one."""

    id: str
    name: str
    is_duplicate: bool = False


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What came of events: their ids in the order given, and the runs that are queued now because of them.

    `queued` holds started and woken runs alike; their `limits` are the defaults, which the dispatcher replaces.
    """

    accepted: list[Accepted] = field(default_factory=list)
    queued: list[Queued] = field(default_factory=list)
    #: the ids of the runs that they cancelled here and now
    ended: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Link:
    """The Celery task that executes a link: its own id, and the id of the first task of the run's chain."""

    id: str
    root_id: str
    #: the fence that its claim is to take; an old or doubled message names one that is gone. None: whichever is next
    fence: int | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to execute a run, until somebody claims it with a higher fence."""

    run: Run
    event: Event
    event_received_at: datetime
    #: all its events in order, where it is a batch
    events: tuple[Event, ...] = ()
    queue: str
    is_internal: bool
    version: str
    fence: int
    #: memos, waits and wakes that the run had when it was claimed
    steps: int
    waits: int
    wakes: int
    cancel_requested: bool
    link: Link
    #: how long it had been queued
    queued_for: timedelta = timedelta(0)
    #: why it is to be cancelled; `cancelled` where nobody said
    cancel_reason: str | None = None
    #: deaths of workers that it may have caused; see rule 8 in docs/engine.md
    suspicion: int = 0
    #: what replaces the inputs of steps in a rerun, by path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    #: what the Gate has to know of its limits; see `admission.py`
    gate: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a run ended: completed, failed or cancelled, with the event that tells others."""

    status: Status
    reason: str | None = None
    #: JSON text
    output: str | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClaimWish:
    """A wish to execute a run by a link."""

    run_id: str
    link: Link


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of a run, with the event that tells of it and those that were deferred until now."""

    claim: Claim
    ending: Ending
    event: OutgoingEvent
    deferred: tuple[OutgoingEvent, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker process as others see it; the same host, boot and pid namespace let a neighbour look for its pid."""

    id: str
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    #: the process's start time in clock ticks since boot: a pid alone may be another process by now
    pid_started: int
    queues: tuple[str, ...]
    capacity: int
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """The answer to a heartbeat."""

    #: False: the row was judged dead meanwhile; the worker must cancel its runs and register anew
    is_alive: bool
    #: the database's time
    now: datetime
    #: ids of this worker's running runs that somebody asked to cancel
    cancelled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Due:
    """What is due at this moment, of each kind whether there is any."""

    events: bool
    waits: bool
    placed: bool
    crons: bool
    deadlines: bool


@dataclass(frozen=True, kw_only=True)
class Signalled:
    """What came of a signal: the run that waited for it, if one did, and the runs that are queued now because of it."""

    #: None where nobody waited
    run_id: str | None = None
    #: empty also where the run that took it executes at this moment
    queued: list[Queued] = field(default_factory=list)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waited for it."""
        return self.run_id is not None


class Store(Placements, Protocol):
    """The truth about runs, as the engine and the fleet change it."""

    def now(self) -> datetime:
        """Return the database's time."""
        ...

    # -- declarations -------------------------------------------------------------------------------------------

    def declare(self, app: str, functions: Sequence[Declaration], schemas: Sequence[EventSchema]) -> None:
        """Write what the app declares; functions of the app that are not among them stop to be triggered."""
        ...

    def declared(self) -> Declared:
        """Return what is declared, at most about a second old."""
        ...

    def schemas(self, names: Sequence[str]) -> list[EventSchema]:
        """Return the schemas bound to these event names, by whatever app."""
        ...

    # -- events -------------------------------------------------------------------------------------------------

    def ingest(
        self, tenant_id: str, events: Sequence[Event], *, target: str | None = None, most_queued: int | None = None
    ) -> Ingested:
        """Take in a tenant's events: all of them, with their runs and wakes, or none.

        With `most_queued` events that would leave the tenant with more queued runs are refused (`RefusedError`), and
        senders of the tenant take turns, so that the number is exact.

        With `target` (`app/function_id`) they start this function alone; raises `NotFoundError` where there is none.
        What an event sets going is decided by `starting.py`: a run may be queued, parked until its time, or skipped.

        Holds the lock of (tenant, event name) shared until it commits, so that no event slips past a wait that is
        being registered. A known `event.id` (within 24 h) starts nothing and wakes nobody.
        """
        ...

    def match_pending(self, event_ids: Sequence[str] | None = None, *, most: int = 100) -> Ingested:
        """Start the runs and wake the waits of events that steps and endings inserted; all pending ones by default."""
        ...

    def signal(self, tenant_id: str, name: str, data: Any, *, id: str | None = None) -> Signalled:
        """Give a signal to the run of the tenant that waits for it, if there is one.

        A second call with the `id` of one that was given is answered alike, and gives nothing.
        """
        ...

    def fire_crons(self, *, most: int = 100) -> Ingested:
        """Start the runs whose cron time has come; each time fires once, however many workers ask."""
        ...

    def pause(self, tenant_id: str, app: str, function_id: str, *, is_paused: bool) -> None:
        """Let events start no runs of the function for the tenant (they are recorded as skipped), or again."""
        ...

    # -- runs ---------------------------------------------------------------------------------------------------

    def claim(self, run_id: str, worker_id: str, link: Link) -> Claim | None:
        """Move a queued run to running under a new fence; None when it is not queued: the message was old or doubled.

        `link.root_id` is kept as the run's root only where it has none yet.
        """
        ...

    def claim_all(self, wishes: Sequence[ClaimWish], worker_id: str) -> list[Claim | None]:
        """Claim each as `claim` does, all in one transaction."""
        ...

    def memos(self, claim: Claim) -> list[Memo]:
        """Return the run's memos in the order of their commits."""
        ...

    def waits(self, claim: Claim) -> list[Wait]:
        """Return the run's waits whose step has no memo yet, in the order of their resolution, open ones last.

        A wait for a retry carries in `number` how many attempts of its step have failed; only the last one is returned.
        """
        ...

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        """Commit entries of any number of runs in one transaction.

        Returns for each the step's seq (0 for waits and attempts), or None where the fence is not the run's any more:
        then nothing of that entry is stored. Takes the lock of each run's row. An entry whose `commit_id` is on
        record already is answered as it was then.
        """
        ...

    def await_event(self, claim: Claim, wait: Wait, *, look_back: timedelta | None = None) -> Wait | None:
        """Register a wait for an event under the lock of (tenant, event name), then look back for one that came.

        Without `look_back` only events received from now on count. Returns the wait as it stands then, resolved
        where an event was found; None where the fence is old. A wait that is registered already is returned as it is.
        A wait of kind `signal` is for the event `signal_name(…)`; raises `ConflictError` while another waits for it.
        """
        ...

    def park(self, claim: Claim, *, reason: str | None = None) -> bool:
        """Park the run if nothing woke it since it was claimed (`claim.wakes`); False: replay, or the fence is old.

        `reason` stands with the run until it is claimed again, where it waits for somebody to look at it.
        """
        ...

    def refresh(self, claim: Claim) -> Claim | None:
        """Read the claim's counts anew under the same fence; None when the fence is old."""
        ...

    def requeue(self, claim: Claim) -> Queued | None:
        """Move the run to queued for its next link; None when the fence is old."""
        ...

    def finish(
        self, claim: Claim, ending: Ending, event: OutgoingEvent, *, deferred: Sequence[OutgoingEvent] = ()
    ) -> bool:
        """End the run and insert the event that tells of it, and those deferred to its end; False: the fence is old."""
        ...

    def finish_all(self, ends: Sequence[End]) -> list[bool]:
        """End each as `finish` does, all in one transaction."""
        ...

    def cancel(self, tenant_id: str, run_id: str, *, reason: str = "cancelled") -> Run:
        """Ask a run to end, for this reason.

        A queued or parked one ends here and now, as no link executes it; a running one is flagged, and its worker
        ends it. Returns the run as it stands then. Raises `NotFoundError`, also for another tenant's run.
        """
        ...

    def due(self) -> Due:
        """Say what is due, for `match_pending`, `wake_due`, `wake_placed`, `fire_crons` and `expire` to be called."""
        ...

    def wake_due(self, *, most: int = 500) -> list[Queued]:
        """Resolve the waits whose time has come, and return the runs that are queued now because of it.

        A wait for a cancelling event ends quietly; one whose step has a memo by now wakes nobody.
        """
        ...

    def expire(self, *, most: int = 100) -> list[Run]:
        """Cancel the runs that are past their deadline (`start_timeout` or `timeout`), and return them.

        As `cancel`: one that executes is flagged, and its worker ends it.
        """
        ...

    # -- the fleet ----------------------------------------------------------------------------------------------

    def register(self, worker: Worker) -> None:
        """Write the row of a worker that starts."""
        ...

    def renew(self, worker_id: str) -> Renewal:
        """Renew a worker's row by the database's clock."""
        ...

    def retire(self, worker_id: str) -> None:
        """Remove the row of a worker that has ended its links."""
        ...

    def neighbours(self, worker_id: str) -> list[Worker]:
        """Return the living workers of the same host, boot and pid namespace, without this one."""
        ...

    def bury(
        self,
        worker_ids: Sequence[str],
        *,
        silent_for: timedelta | None = None,
        as_of: datetime | None = None,
        is_death: bool = True,
    ) -> list[Queued]:
        """Judge workers dead and move their running runs to queued; returns those.

        With `silent_for` all workers whose last renewal is older than that are judged as well: older at the time
        `as_of` too, where the judge names it, so that a database that carries this out late judges by when it was
        asked. Of a renewal and a judgement that meet, the first one holds. The slot that the dead link held is that of
        `fence - 1` of each run returned. A worker that lives and lets go of its runs is no death: nothing is suspected
        then.
        """
        ...

    def held(self, worker_id: str) -> list[tuple[str, int]]:
        """Return (run id, fence) of the runs that are running under this worker's id."""
        ...

    def is_executing(self, run_id: str, fence: int) -> bool:
        """Say whether a link executes the run under this fence."""
        ...

    def turn_back(self, claim: Claim, *, start_timeout: timedelta | None = None) -> Queued | None:
        """Queue a run again that was claimed and did not execute, as it stood before; None when the fence is old.

        It keeps its age, and has not begun where this was its first link: then `start_timeout` counts again.
        """
        ...

    def give_back(self, run_id: str, fence: int) -> Queued | None:
        """Move a running run to queued, where nobody executes it; None when the fence is not the run's any more."""
        ...

    def holding(self, *, after: str = "", most: int = 500) -> list[Queued]:
        """Return runs that have begun and hold a pool until they end, for the Gate to be told of.

        A page in the order of their ids, from the first one behind `after`.
        """
        ...

    def holding_of(self, run_ids: Sequence[str]) -> list[Queued]:
        """Return those of the runs that may hold a pool: `holding`, and those that are picked and not claimed yet."""
        ...

    def stranded(self, *, older_than: timedelta, after: str = "", most: int = 500) -> list[Queued]:
        """Return runs that have been queued for longer than that, for the Gate to be asked about.

        A page in the order of their ids, from the first one behind `after`.
        """
        ...

    def stranded_of(self, run_ids: Sequence[str], *, older_than: timedelta) -> list[Queued]:
        """Return those of the runs that have been queued for longer than that, in the order of their ids."""
        ...
