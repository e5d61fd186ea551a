"""The invariant on timers: never early, and late by two seconds at most once what disturbed them is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from celeriac.chaos.judge.evidence import Evidence, Execution, RunRow
from celeriac.chaos.judge.excuses import Excuses
from celeriac.chaos.judge.steps import CLOCK_SECONDS
from celeriac.chaos.judge.verdict import Verdict, judged, not_judged
from celeriac.chaos.load import Sent


@dataclass(frozen=True)
class Rest:
    """A rest between two steps of a run, as it was asked for and as it was."""

    run: RunRow
    due: float
    woke: float
    #: how exact `due` is
    error: float


def timers_are_punctual(evidence: Evidence, excuses: Excuses) -> Verdict:
    """I6: no timer fires before its time, nor more than two seconds after it."""
    says = "Timers are never early, and at most 2 s late once the fleet has recovered"
    if not evidence.has_effects:
        return not_judged("I6", says, "there is no effect log")
    early, late, latest, soonest = [], [], 0.0, float("inf")
    rests = list(_rests(evidence))
    for rest in rests:
        soonest = min(soonest, rest.woke - rest.due)
        latest = max(latest, rest.woke - rest.due)
        if rest.woke < rest.due - rest.error:
            early.append(f"run {rest.run.id} woke {rest.due - rest.woke:.3f} s too early")
        allowed = excuses.deadline(rest.due)
        if rest.woke > allowed and rest.run.tenant_id not in evidence.limits:
            late.append(
                f"run {rest.run.id} woke {rest.woke - rest.due:.2f} s after its time, "
                f"{rest.woke - allowed:.2f} s later than its troubles explain"
            )
    measured = {"timers": len(rests), "latest_s": round(latest, 3)}
    if rests:
        measured["soonest_s"] = round(soonest, 3)
    return judged("I6", says, early + late, early=len(early), late=len(late), **measured)


def _rests(evidence: Evidence) -> Iterator[Rest]:
    for sent in evidence.sent:
        if sent.rests is None and sent.rests_until is None:
            continue
        for run in evidence.run_of_event.get(sent.event_id, []):
            before = _committed(evidence, run, "before")
            after = evidence.executions.get((run.id, "after"))
            if before is not None and before.ended is not None and after:
                due, error = _due(sent, before.ended)
                yield Rest(run, due, after[0].began, error)


def _due(sent: Sent, ended: float) -> tuple[float, float]:
    if sent.rests is not None:
        return ended + sent.rests, 0.0
    return max(ended, sent.rests_until or 0.0), CLOCK_SECONDS


def _committed(evidence: Evidence, run: RunRow, path: str) -> Execution | None:
    step = evidence.committed.get((run.id, path))
    executions = evidence.executions.get((run.id, path), [])
    return next((one for one in executions if step is not None and one.by == step.by), None)
