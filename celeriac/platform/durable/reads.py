"""Reads: what people see of runs and of the fleet. Never used by the engine; every read of runs names its tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from celeriac.platform.durable.asked import ApprovalPage
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.memo import StepKind, Wait
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.durable.store import Worker
from celeriac.platform.event import Event
from celeriac.platform.run import Run


@dataclass(frozen=True, kw_only=True)
class Page:
    """Runs, newest first; `next_cursor` leads on where there are more (an opaque position, no secret).

    A page may hold fewer runs than were asked for, and yet lead on: a filter by an expression looks at so many runs
    and no more at a time.
    """

    runs: list[Run]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One execution of a step's body; `error` is `{"name", "message"}`."""

    number: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: dict[str, str] | None = None


@dataclass(kw_only=True)
class StepView:
    """A step in the tree. A scope that is not committed yet, or is a mere prefix, has status `open` and no value."""

    path: str
    kind: StepKind | str
    #: completed | failed | waiting | retrying | open
    status: str
    attempts: list[Attempt] = field(default_factory=list)
    input: Any = None
    output: Any = None
    error: dict[str, str] | None = None
    children: list[StepView] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run with everything that its page shows."""

    run: Run
    event: Event | None
    steps: list[StepView]
    waits: list[Wait]
    #: what it waits for, in words; None where it does not wait
    waiting_for: str | None = None
    root_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many runs of a tenant execute, wait for a worker, and stand still."""

    running: int = 0
    queued: int = 0
    parked: int = 0


@dataclass(frozen=True, kw_only=True)
class FunctionView:
    """A function that the fleet has declared, as one tenant sees it."""

    app: str
    function_id: str
    version: str
    description: str
    queue: str
    #: the names of its events, and the schedules of its crons
    triggers: tuple[str, ...]
    crons: tuple[str, ...] = ()
    #: whether events start no runs of it for this tenant
    is_paused: bool
    #: when a worker, or the web, last declared it
    seen_at: datetime
    rules: StartRules = field(default_factory=StartRules)

    @property
    def name(self) -> str:
        """The name that is unique in a fleet: `app/function_id`."""
        return f"{self.app}/{self.function_id}"


class Reads(Protocol):
    """The reading side of the store; raises `NotFoundError` for unknown ids, another tenant's among them."""

    def runs(self, tenant_id: str, where: RunFilter, *, limit: int = 20, cursor: str | None = None) -> Page:
        """Return one page of the tenant's runs; raise `ValueError` for a cursor that is none."""
        ...

    def run(self, tenant_id: str, run_id: str) -> Run:
        """Return one run."""
        ...

    def view(self, tenant_id: str, run_id: str) -> RunView:
        """Return one run with its step tree, its event and what it waits for."""
        ...

    def reasons(self, tenant_id: str, run_ids: Sequence[str]) -> dict[str, str]:
        """Return what those of the runs that wait are waiting for, in words, by their ids; for whole pages at once."""
        ...

    def approvals(
        self, tenant_id: str, *, run_id: str | None = None, limit: int = 20, cursor: str | None = None
    ) -> ApprovalPage:
        """Return one page of the tenant's calls that wait for a person, or of those of a run.

        Raises `ValueError` for a cursor that is none; a run that is not there asks for nothing.
        """
        ...

    def event_runs(self, tenant_id: str, event_id: str) -> list[Run]:
        """Return the runs that the event started, and those that it joined while they gathered."""
        ...

    def functions(self, tenant_id: str) -> Sequence[str]:
        """Return the ids of the functions that the tenant has runs of, for filters."""
        ...

    def declared(self, tenant_id: str) -> list[FunctionView]:
        """Return the functions that events may start, by name; the platform's own are left out."""
        ...

    def queued_runs(self, tenant_id: str) -> int:
        """Return how many of the tenant's runs are queued."""
        ...

    def loads(self) -> dict[str, Load]:
        """Return the loads of all tenants that have any, by their ids; for operators."""
        ...

    def workers(self, seen_within: timedelta) -> list[Worker]:
        """Return the workers of all tenants that were heard of within this time, in the order in which they came."""
        ...
