"""Placed steps: steps of a run whose bodies another queue performs.

The kernel places the step and waits; a process of that queue claims it by (path, token), performs it and commits it,
and the run is woken as by an event. The run's fence plays no part, so that its links may come and go meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from celeriac.platform.codec import encode
from celeriac.platform.durable.admission import admission
from celeriac.platform.durable.memo import AttemptFailed, StepDone
from celeriac.platform.flow.gate import Queued

if TYPE_CHECKING:
    from celeriac.platform.durable.store import Claim

#: what joins the run's id and the step's path to the name by which gate and broker know a placed step
_JOINT = "#"

#: deaths of its process after which a placed step fails
DEADLY = 3


def member(run_id: str, path: str) -> str:
    """Return the name of a placed step among the ids of runs."""
    return f"{run_id}{_JOINT}{path}"


def of_member(id: str) -> tuple[str, str]:
    """Return the run and the path that an id names; the path is empty where it names a run."""
    run_id, _, path = id.partition(_JOINT)
    return run_id, path


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process of a worker: it performs one placed step at a time."""

    worker_id: str
    pid: int
    #: its start in clock ticks since boot
    pid_started: int


@dataclass(frozen=True, kw_only=True)
class PlacedClaim:
    """The right to perform a placed step, until somebody claims it with a higher token."""

    run_id: str
    path: str
    tenant_id: str
    queue: str
    #: JSON text of its Placement
    call: str
    token: int
    #: how many attempts have failed
    failed: int
    #: deaths of processes that performed it
    deaths: int
    #: `app/function_id` of its run, and what the Gate has to know of that, as `admission.py` froze it
    function: str
    gate: str | None
    queued_at: datetime

    @property
    def queued(self) -> Queued:
        """The step as the Gate knows it: code that executes, so that the limits of its function count it.

        What is held for the whole run its run holds.
        """
        return Queued(
            run_id=member(self.run_id, self.path),
            tenant_id=self.tenant_id,
            queue=self.queue,
            fence=self.token,
            is_resume=True,
            queued_at=self.queued_at,
            function=self.function,
            pools=tuple(pool for pool in admission(self.gate).get("pools", ()) if not pool.is_for_run),
        )


class Placements(Protocol):
    """The part of the truth about placed steps; every method is one transaction."""

    def place(self, claim: Claim, path: str, queue: str, call: str) -> Queued | None:
        """Place the step and register the run's wait for it; None when the fence is old.

        One that is placed already stays as it is, and is returned as it stands.
        """
        ...

    def claim_placed(self, run_id: str, path: str, process: Process, *, token: int | None = None) -> PlacedClaim | None:
        """Move a queued step to running; None when it is not queued, or its run has ended.

        With the `token` that a message names, only a claim that takes this one: an old message claims nothing.
        """
        ...

    def turn_back_placed(self, claim: PlacedClaim) -> Queued | None:
        """Queue a claimed step again that was not begun, with its age; None when the token is old."""
        ...

    def commit_placed(self, claim: PlacedClaim, done: StepDone) -> list[Queued] | None:
        """Commit the step as its run's memo and wake the run; None when the token is old or the run has ended."""
        ...

    def retry_placed(self, claim: PlacedClaim, failed: AttemptFailed) -> bool:
        """Record a failed attempt and let the step wait until `failed.wait.wake_at`; False when the token is old."""
        ...

    def wake_placed(self, *, most: int = 500) -> list[Queued]:
        """Queue the steps whose retry is due, and return them."""
        ...

    def performing(self, worker_id: str) -> list[tuple[PlacedClaim, Process]]:
        """Return what the processes of the worker perform."""
        ...

    def give_back_placed(self, claims: Sequence[PlacedClaim]) -> list[Queued]:
        """Queue steps again whose process has died, and return them.

        One that has cost `DEADLY` processes fails instead, with `poison` as its error; then its run is returned.
        """
        ...

    def stranded_placed(self, before: datetime, *, after: str = "", most: int = 500) -> list[Queued]:
        """Return steps that have been queued since before that time, for the Gate to be asked about.

        A page in the order of their runs and paths, from the first one behind the member `after`.
        """
        ...


def poisoned_step(claim: PlacedClaim, now: datetime) -> StepDone:
    """Return how a placed step ends that cost too many processes."""
    told = {"name": "poison", "message": f"{DEADLY} processes died while they performed this step; mend its code"}
    return StepDone(
        run_id=claim.run_id,
        tenant_id=claim.tenant_id,
        fence=0,
        path=claim.path,
        kind="run",
        error=encode(told),
        started_at=now,
        ended_at=now,
        attempt=claim.failed + 1,
    )
