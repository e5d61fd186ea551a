"""The stage of a case: what the script of a case may do to its app, whatever the app runs on.

`memory.py` plays it in the harness, whose clock is moved; `fleet.py` on worker processes over a real Redis and a real
database, where time passes by itself. A case is written once and holds on both, so that it uses durations of at most
a second and never asks what happens "at the same time".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cases.stages.notes import Note
from celeriac import App, Event, Run
from celeriac.clock import Duration
from celeriac.platform.durable.reads import Page
from celeriac.platform.durable.run_filter import RunFilter

#: settings of all stages; the limits are low so that a case can reach them, and a failed attempt is repeated at once
SETTINGS: dict[str, Any] = {
    "retry_seconds": 0,
    "link_budget_seconds": 0.5,
    "max_steps": 30,
    "max_output_bytes": 20_000,
    "max_state_bytes": 50_000,
    "fetch_allow": "127.0.0.0/8",
}


@dataclass(frozen=True, kw_only=True)
class StepFact:
    """A step that has ended."""

    kind: str
    output: Any
    #: `{"name", "message"}`
    error: dict[str, str] | None
    #: how many times its body was begun
    attempts: int


class Stage(Protocol):
    """One tenant of its own for each case; runs are named by their ids."""

    #: how many links one of its workers executes at once
    room: int

    async def send(self, event: str | Event | Sequence[Event], data: Any = None) -> list[str]:
        """Send events in one request; return the runs that they started at once."""
        ...

    async def start(self, event: str | Event, data: Any = None) -> str:
        """Send an event that starts exactly one run; return it."""
        ...

    async def run(self, run_id: str) -> Run:
        """Return the run as it stands."""
        ...

    async def status(self, run_id: str, status: str) -> Run:
        """Wait until the run has this status."""
        ...

    async def ended(self, run_id: str) -> Run:
        """Wait until the run has ended."""
        ...

    async def all_ended(self, function_id: str | None = None) -> list[Run]:
        """Wait until every run has ended and no event may start another; return those of the function, or all."""
        ...

    async def runs(self, function_id: str | None = None) -> list[Run]:
        """Return the runs of the function, or all, oldest first."""
        ...

    async def begun(self, function_id: str) -> Run:
        """Wait until the function has a run, and return the first."""
        ...

    async def page(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
        """Return one page of the list of runs."""
        ...

    async def steps(self, run_id: str) -> dict[str, StepFact]:
        """Return the run's steps by their paths."""
        ...

    async def remembered(self, run_id: str, path: str) -> StepFact:
        """Wait until the step has ended."""
        ...

    def now(self) -> datetime:
        """Return the time by the clock that timers go by."""
        ...

    async def pass_time(self, time: Duration) -> None:
        """Let so much time pass, by the clock that timers go by."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Ask the run to end."""
        ...

    async def crash(self) -> None:
        """Take everything that is not committed from all workers, and let others go on."""
        ...

    def pause(self, function_id: str, *, is_paused: bool = True) -> None:
        """Let events start no runs of the case's function for its tenant, or again."""
        ...

    def deploy(self, app: App) -> None:
        """Declare another version of the case's app, as its workers do when they begin."""
        ...

    def due(self, function_id: str) -> list[datetime]:
        """Return when the function's crons are due next."""
        ...

    async def tick(self, function_id: str) -> None:
        """Let all crons of the function come to their time once; they are daily ones."""
        ...

    def notes(self, kind: str, **facts: Any) -> list[Note]:
        """Return what the case's functions noted, in order."""
        ...
