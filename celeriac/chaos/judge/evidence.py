"""The evidence: everything that the judge looks at, collected after a play from SQL, the effect log and the record.

All times are seconds of the machine's monotonic clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from celeriac.chaos.effects import Effect
from celeriac.chaos.load import Cancelled, Sent
from celeriac.chaos.record import Departure, Trouble
from celeriac.platform.run import FINAL
from celeriac.platform.streams.chunk import Chunk
from celeriac.tenants.quotas import Limits


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run as it stood in the end."""

    id: str
    tenant_id: str
    function_id: str
    event_id: str
    status: str
    output: Any = None
    error_code: str | None = None
    steps: int = 0
    ended_at: float | None = None
    #: the run of whose step its event came, for children
    parent_id: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether no move is left."""
        return self.status in FINAL


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A committed step; `by` is the execution whose result it holds, where its body told one."""

    run_id: str
    path: str
    seq: int
    committed_at: float
    by: str | None = None


@dataclass(frozen=True, kw_only=True)
class WaitRow:
    """A wait that nothing has resolved."""

    run_id: str
    path: str
    wake_at: float


@dataclass(frozen=True, kw_only=True)
class Move:
    """A run went from one status to another, or to a new fence."""

    run_id: str
    was: str | None
    became: str
    fence: int
    worker_id: str | None
    at: float


@dataclass(frozen=True, kw_only=True)
class WorkerMove:
    """A worker's row came or went; `has_heir`: its process had another one by then, so that it left by itself."""

    id: str
    pid: int
    what: str
    has_heir: bool
    at: float


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution of a step's body, as it told of itself."""

    run_id: str
    path: str
    by: str
    pid: int
    began: float
    #: None where it never came to its end
    ended: float | None = None
    has_failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is left of a play."""

    sent: Sequence[Sent] = ()
    cancelled: Sequence[Cancelled] = ()
    surprises: Sequence[str] = ()
    runs: Mapping[str, RunRow] = field(default_factory=dict)
    steps: Sequence[StepRow] = ()
    open_waits: Sequence[WaitRow] = ()
    #: names of events that nobody has matched
    unmatched: Sequence[str] = ()
    effects: Sequence[Effect] = ()
    troubles: Sequence[Trouble] = ()
    departures: Sequence[Departure] = ()
    joined: Mapping[int, float] = field(default_factory=dict)
    held_keys: Sequence[str] = ()
    #: what the runs told that have agents; None where nobody could read it
    streams: Mapping[str, Sequence[Chunk]] | None = None
    limits: Mapping[str, Limits] = field(default_factory=dict)
    #: None where the database could not be given triggers
    moves: Sequence[Move] | None = None
    worker_moves: Sequence[WorkerMove] = ()
    changed_steps: Sequence[str] = ()
    has_effects: bool = True
    heartbeat: float = 0.5
    dead_after: float = 3.0
    began_at: float = 0.0
    collected_at: float = 0.0

    @cached_property
    def executions(self) -> dict[tuple[str, str], list[Execution]]:
        """The executions of each step, in the order of their beginnings."""
        found: dict[str, Execution] = {}
        for effect in self.effects:
            if effect.kind == "began":
                found[effect.by] = Execution(
                    run_id=effect.run, path=effect.path, by=effect.by, pid=effect.pid, began=effect.at
                )
            elif effect.kind in ("ended", "failed") and effect.by in found:
                begun = found[effect.by]
                found[effect.by] = Execution(
                    **{**vars(begun), "ended": effect.at, "has_failed": effect.kind == "failed"}
                )
        steps: dict[tuple[str, str], list[Execution]] = defaultdict(list)
        for execution in sorted(found.values(), key=lambda one: one.began):
            steps[execution.run_id, execution.path].append(execution)
        return steps

    @cached_property
    def committed(self) -> dict[tuple[str, str], StepRow]:
        """The committed steps by their keys."""
        return {(step.run_id, step.path): step for step in self.steps}

    @cached_property
    def run_of_event(self) -> dict[str, list[RunRow]]:
        """The runs that each event started."""
        found: dict[str, list[RunRow]] = defaultdict(list)
        for run in self.runs.values():
            found[run.event_id].append(run)
        return found
