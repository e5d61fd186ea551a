"""What the store in memory keeps: its rows, and the pure reading of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from celeriac.platform.codec import encode
from celeriac.platform.durable.admission import admission
from celeriac.platform.durable.matching import answers, visible
from celeriac.platform.durable.memo import AttemptFailed, Memo, StepDone, Wait
from celeriac.platform.durable.placed import PlacedClaim, Process
from celeriac.platform.durable.store import Claim, Link, Worker
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import Run


@dataclass
class StoredEvent:
    """An event as it was taken in."""

    id: str
    tenant_id: str
    event: Event
    received_at: datetime
    is_internal: bool = False
    is_matched: bool = False
    target: str | None = None
    #: the run that sent it, or whose ending it tells of
    sender: str | None = None


@dataclass
class StoredRun:
    """A run with everything that hangs on it."""

    run: Run
    event: StoredEvent
    queue: str
    version: str
    is_internal: bool
    queued_at: datetime
    claimed_at: datetime | None = None
    fence: int = 0
    wakes: int = 0
    worker_id: str | None = None
    cancel_requested: bool = False
    cancel_reason: str | None = None
    suspicion: int = 0
    #: all its events where it is a batch
    batch: list[StoredEvent] | None = None
    deadline: datetime | None = None
    time_limit: timedelta | None = None
    parent_id: str | None = None
    #: what replaces the inputs of steps, by path
    overrides: dict[str, Any] = field(default_factory=dict)
    #: what the Gate has to know of its limits
    gate: str | None = None
    root_id: str | None = None
    link_id: str | None = None
    steps: dict[str, tuple[Memo, StepDone]] = field(default_factory=dict)
    attempts: list[AttemptFailed] = field(default_factory=list)
    waits: dict[tuple[str, int], Wait] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)


@dataclass
class StoredPlacement:
    """A placed step as it stands; `claim.token` is that of its last claim."""

    claim: PlacedClaim
    status: str
    since: datetime
    process: Process | None = None


def place(worker: Worker) -> tuple[str, str, str]:
    """Return what tells whether two workers see each other's pids."""
    return worker.host, worker.boot_id, worker.pid_namespace


def is_answered(wait: Wait, stored: StoredEvent, run: StoredRun) -> bool:
    """Say whether the event ends the open wait of the run."""
    if wait.resolved_at is not None or wait.event_name is None:
        return False
    return answers(wait, as_seen(stored), stored.received_at, own=as_seen(run.event))


def as_seen(stored: StoredEvent) -> dict[str, Any]:
    """Return the event as waits and expressions see it."""
    event = stored.event
    return visible(event.name, event.data, event.id or stored.id, event.ts or stored.received_at)


def event_text(stored: StoredEvent) -> str:
    """Return the event as a resolved wait keeps it."""
    return encode(as_seen(stored))


def as_queued(run: StoredRun) -> Queued:
    """Return the run as the Gate has to know it."""
    return Queued(
        run_id=run.run.id,
        tenant_id=run.run.tenant_id,
        queue=run.queue,
        fence=run.fence + 1,
        is_resume=run.run.started_at is not None,
        is_internal=run.is_internal,
        root_id=run.root_id,
        parent_id=run.link_id,
        function=f"{run.run.app}/{run.run.function_id}",
        queued_at=run.queued_at,
        **admission(run.gate),
    )


def as_event(stored: StoredEvent) -> Event:
    """Return the event as runs see it."""
    event = stored.event
    return replace(event, id=event.id or stored.id, ts=event.ts or stored.received_at)


def as_claim(run: StoredRun) -> Claim:
    """Return the claim on a run that is running."""
    return Claim(
        run=run.run,
        event=as_event(run.event),
        events=tuple(as_event(one) for one in run.batch or ()),
        event_received_at=run.event.received_at,
        queue=run.queue,
        is_internal=run.is_internal,
        version=run.version,
        fence=run.fence,
        steps=len(run.steps),
        waits=sum(wait.kind not in ("start", "cancel") for wait in run.waits.values()),
        wakes=run.wakes,
        cancel_requested=run.cancel_requested,
        link=Link(id=run.link_id or "", root_id=run.root_id or ""),
        cancel_reason=run.cancel_reason,
        suspicion=run.suspicion,
        overrides=run.overrides,
        gate=run.gate,
        queued_for=(run.claimed_at or run.queued_at) - run.queued_at,
    )
