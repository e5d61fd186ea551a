"""The stage on which each test of the store plays: a store, and short words for what tests do with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.ending import ending_event
from celeriac.platform.durable.memo import AttemptFailed, OutgoingEvent, StepDone, Wait, WaitBegun
from celeriac.platform.durable.store import Claim, Ending, Link, Store, Worker
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued

TENANT = "ten_one"
OTHER = "ten_two"

LINK = Link(id="link-1", root_id="link-1")
PAST = datetime(2026, 1, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Stage:
    """A store with the function `work` of the app `desk`, which starts on `ticket`."""

    store: Store

    def declare(self, *functions: Declaration, app: str = "desk") -> None:
        """Declare the functions of an app in place of those before."""
        self.store.declare(app, functions, [])

    def send(self, *events: Event, tenant: str = TENANT) -> list[Queued]:
        """Take in events and return what is queued by them."""
        return self.store.ingest(tenant, events).queued

    def queued(self, tenant: str = TENANT) -> Queued:
        """Return a fresh run of `work`."""
        (run,) = self.send(Event("ticket", {"id": "T-1"}), tenant=tenant)
        return run

    def claimed(self, worker: str = "wrk_one", tenant: str = TENANT) -> Claim:
        """Return the claim on a fresh run of `work`."""
        return self.claim(self.queued(tenant).run_id, worker)

    def claimed_of(self, event: Event) -> Claim:
        """Return the claim on the run that an event starts."""
        (queued,) = self.send(event)
        return self.claim(queued.run_id)

    def claim(self, run_id: str, worker: str = "wrk_one", link: Link = LINK) -> Claim:
        """Claim a run that must be queued."""
        claim = self.store.claim(run_id, worker, link)
        assert claim is not None
        return claim

    def parked(self, wait: Wait) -> Claim:
        """Return the claim by which a run was parked on this wait."""
        claim = self.claimed()
        self.begin(claim, wait)
        fresh = self.refreshed(claim)
        assert self.store.park(fresh)
        return fresh

    def refreshed(self, claim: Claim) -> Claim:
        """Return the claim with its counts of now."""
        fresh = self.store.refresh(claim)
        assert fresh is not None
        return fresh

    def begin(self, claim: Claim, wait: Wait) -> None:
        """Let the run reach a wait."""
        if wait.kind in ("event", "signal"):
            assert self.store.await_event(claim, wait) is not None
        else:
            assert self.store.commit([wait_begun(claim, wait)]) == [0]

    def finish(self, claim: Claim, ending: Ending | None = None) -> bool:
        """End a run, completed by default."""
        ending = ending or Ending(status="completed", output='{"ok":true}')
        told = ending_event(replace(claim.run, status=ending.status))
        return self.store.finish(claim, ending, told)


def function(name: str = "work", *triggers: str, **options: Any) -> Declaration:
    """Declare a function of the app `desk`."""
    return Declaration(app="desk", function_id=name, triggers=triggers or ("ticket",), **options)


def step_done(claim: Claim, path: str, value: str | None = "1", **options: Any) -> StepDone:
    """Make the entry of a step that ended."""
    times = {"started_at": PAST, "ended_at": PAST + timedelta(seconds=1)}
    return StepDone(**{**right_of(claim), **times, "path": path, "kind": "run", "value": value, **options})


def attempt_failed(claim: Claim, path: str, number: int, wake_at: datetime = FUTURE) -> AttemptFailed:
    """Make the entry of an attempt after which another is planned."""
    return AttemptFailed(
        **right_of(claim),
        path=path,
        number=number,
        error='{"name":"OSError","message":"no"}',
        started_at=PAST,
        ended_at=PAST,
        wait=Wait(path=path, kind="retry", number=number, wake_at=wake_at),
    )


def wait_begun(claim: Claim, wait: Wait, **options: Any) -> WaitBegun:
    """Make the entry of a wait for a time."""
    return WaitBegun(**right_of(claim), path=wait.path, wait=wait, **options)


def right_of(claim: Claim) -> dict[str, Any]:
    """Return what an entry names its right by."""
    return {"run_id": claim.run.id, "tenant_id": claim.run.tenant_id, "fence": claim.fence}


def sleep(path: str = "nap", wake_at: datetime = FUTURE) -> Wait:
    """Make a wait for a time."""
    return Wait(path=path, kind="sleep", wake_at=wake_at)


def event_wait(path: str = "reply", name: str = "answer", match: tuple[str, str] | None = None, **options: Any) -> Wait:
    """Make a wait for an event, whose `match` is a path and the JSON text there."""
    matched = {} if match is None else {"match_path": match[0], "match_value": match[1]}
    return Wait(**{"path": path, "kind": "event", "event_name": name, "wake_at": FUTURE, **matched, **options})


def outgoing(event_id: str = "evt_out", name: str = "sent", **options: Any) -> OutgoingEvent:
    """Make an event that a step sends."""
    return OutgoingEvent(id=event_id, name=name, data='{"n":1}', **options)


def worker(worker_id: str = "wrk_one", **options: Any) -> Worker:
    """Make the row of a worker on the host `here`."""
    facts = {"host": "here", "boot_id": "b", "pid_namespace": "n", "pid": 7, "pid_started": 70, "capacity": 4}
    return Worker(id=worker_id, **{**facts, "queues": ("runs", "memory"), **options})


def ids(runs: Sequence[Queued]) -> list[str]:
    """Return the ids of runs."""
    return [run.run_id for run in runs]


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls in threads that start at the same moment, and return their answers in order."""
    start = Barrier(len(calls))

    def at_once(call: Callable[[], Any]) -> Any:
        start.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result(30) for future in [threads.submit(at_once, call) for call in calls]]
