"""The courtroom: the evidence of a small, honest play, for tests that spoil one fact of it and call the judge.

Two tenants; a run that rests for a second between two steps, one that sleeps on, one that was cancelled, and a parent
with its child. Times are seconds since the beginning of the play.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celeriac.chaos.effects import Effect, EffectKind
from celeriac.chaos.judge.evidence import Evidence, Move, RunRow, StepRow, WaitRow, WorkerMove
from celeriac.chaos.judge.report import judge
from celeriac.chaos.load import Cancelled, Sent
from celeriac.chaos.record import Trouble
from celeriac.platform.streams.chunk import Chunk
from celeriac.tenants.quotas import Limits

NORTH, SOUTH = "ten_north", "ten_south"

#: processes of workers
FIRST, SECOND = 101, 102

RESTS, LATE_ALLOWED = 1.0, 2.0


def effect(kind: EffectKind, at: float, run: str, path: str = "", by: str = "", *, pid: int = FIRST) -> Effect:
    """Make a line of the effect log."""
    return Effect(kind=kind, at=at, pid=pid, run=run, path=path, by=by)


def execution(run: str, path: str, by: str, at: float, pid: int = FIRST) -> list[Effect]:
    """Make the two lines of a body that works for a tenth of a second."""
    return [effect("began", at, run, path, by, pid=pid), effect("ended", at + 0.1, run, path, by, pid=pid)]


def run_row(id: str, function_id: str, **facts: Any) -> RunRow:
    """Make a run that has completed."""
    honest = {"tenant_id": NORTH, "event_id": f"evt_{id}", "status": "completed", "ended_at": 9.0}
    return RunRow(id=id, function_id=function_id, **{**honest, **facts})


def step_row(run: str, path: str, seq: int, by: str, at: float) -> StepRow:
    """Make a committed step."""
    return StepRow(run_id=run, path=path, seq=seq, by=by, committed_at=at)


def sent(id: str, function_id: str, **facts: Any) -> Sent:
    """Make the event that started a run."""
    return Sent(event_id=f"evt_{id}", tenant_id=NORTH, function_id=function_id, data={"n": 1}, **facts)


def moves(run: str, worker: str, *since: float) -> list[Move]:
    """Make the moves of a run that was claimed at those times, and completed in the end."""
    queued = Move(run_id=run, was=None, became="queued", fence=0, worker_id=None, at=0.5)
    claims = [
        Move(run_id=run, was="queued", became="running", fence=fence, worker_id=worker, at=at)
        for fence, at in enumerate(since, start=1)
    ]
    return [queued, *claims, Move(run_id=run, was="running", became="completed", fence=9, worker_id=None, at=9.0)]


def told(*events: str) -> list[Chunk]:
    """Make the stream of a run that told these events, of one part."""
    data = {"partId": "part", "scope": "network"}
    return [
        Chunk(event=event, data=data, timestamp=0, sequence_number=number, id=f"{number}:{event}")
        for number, event in enumerate(events)
    ]


def honest() -> Evidence:
    """Return the evidence of a play in which everything held."""
    runs = [
        run_row("run_nap", "nap", output=2, steps=2),
        run_row("run_ask", "ask", status="parked", ended_at=None),
        run_row("run_long", "count", status="cancelled", ended_at=3.0, output=None),
        run_row("run_parent", "parent", output=2, steps=1),
        run_row("run_child", "child", parent_id="run_parent"),
    ]
    return Evidence(
        sent=[
            sent("run_nap", "nap", output=2, rests=RESTS),
            sent("run_ask", "ask", ends="waiting"),
            sent("run_long", "count", ends="cancelled"),
            sent("run_parent", "parent", output=2),
        ],
        cancelled=[Cancelled(run_id="run_long", asked_at=2.7, answered_at=2.8)],
        runs={run.id: run for run in runs},
        steps=[
            step_row("run_nap", "before", 1, "1", 1.2),
            step_row("run_nap", "after", 2, "2", 2.4),
            step_row("run_parent", "after", 1, "4", 4.2),
        ],
        open_waits=[WaitRow(run_id="run_ask", path="answer", wake_at=3_600.0)],
        effects=[
            effect("link", 0.9, "run_nap", by="l1"),
            *execution("run_nap", "before", "1", 1.0),
            *execution("run_nap", "after", "2", 2.2),
            effect("saw", 2.5, "run_nap", "after", "2"),
            effect("left", 2.6, "run_nap", by="l1"),
            *execution("run_parent", "after", "4", 4.0),
        ],
        moves=[*moves("run_nap", "wrk_1", 0.8), *moves("run_parent", "wrk_1", 3.9)],
        worker_moves=[WorkerMove(id="wrk_1", pid=FIRST, what="joined", has_heir=False, at=0.1)],
        streams={"run_nap": told("run.started", "part.created", "part.completed", "run.completed", "stream.ended")},
        joined={FIRST: 0.1, SECOND: 0.1},
        limits={SOUTH: Limits(running=2, starts_per_second=1.0, starts_burst=2)},
        collected_at=20.0,
    )


def with_effects(*more: Effect, **facts: Any) -> Evidence:
    """Return the honest evidence with more lines in the effect log, and other facts."""
    evidence = honest()
    effects = sorted([*evidence.effects, *more], key=lambda one: one.at)
    return replace(evidence, effects=effects, **facts)


def with_run(id: str, **facts: Any) -> Evidence:
    """Return the honest evidence with other facts about one run."""
    evidence = honest()
    return replace(evidence, runs={**evidence.runs, id: replace(evidence.runs[id], **facts)})


def death(at: float, *pids: int) -> Trouble:
    """Return the death of processes."""
    return Trouble(kind="death", since=at, until=at, pids=pids, fault="F1:killed")


def broken(evidence: Evidence) -> dict[str, list[str]]:
    """Return the invariants that the judge finds broken, with the breaches."""
    return {verdict.id: list(verdict.breaches) for verdict in judge(evidence) if verdict.verdict == "broken"}
