"""The invariants on steps: what is committed stays, nothing repeats without a reason, and a stale worker is refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from celeriac.chaos.judge.evidence import Evidence, Execution, Move
from celeriac.chaos.judge.excuses import Excuses
from celeriac.chaos.judge.verdict import Verdict, judged, not_judged

#: how far two clocks may be apart: times of the database are turned into those of the monotonic clock
CLOCK_SECONDS = 0.01


def committed_stays(evidence: Evidence, excuses: Excuses) -> Verdict:
    """I3: a committed step's result never changes, and its body never runs again."""
    breaches = [f"the row of step {step} was changed" for step in evidence.changed_steps]
    late = 0
    for key, step in evidence.committed.items():
        executions = evidence.executions.get(key, [])
        for one in executions:
            if one.began > step.committed_at + CLOCK_SECONDS:
                late += 1
                if not excuses.is_stray(one):
                    breaches.append(f"{_name(one)} began {one.began - step.committed_at:.3f} s after its commit")
        breaches += _wrong_source(step.by, executions, step.committed_at)
    for effect in evidence.effects:
        known = evidence.committed.get((effect.run, effect.path))
        if effect.kind == "saw" and known is not None and known.by != effect.by:
            breaches.append(f"run {effect.run} saw {effect.by} at {effect.path!r}, and {known.by} is committed")
    seen = sum(effect.kind == "saw" for effect in evidence.effects)
    says = "A committed step's result never changes, and its body never runs again"
    return judged("I3", says, breaches, steps=len(evidence.steps), results_seen=seen, strays_of_silent_workers=late)


def _wrong_source(by: str | None, executions: list[Execution], committed_at: float) -> Iterator[str]:
    if by is None:
        return
    source = next((one for one in executions if one.by == by), None)
    if source is None or source.ended is None or source.has_failed:
        yield f"the result of {by} is committed, which never came to its end"
    elif source.ended > committed_at + CLOCK_SECONDS:
        yield f"{_name(source)} was committed {source.ended - committed_at:.3f} s before it ended"


def repeats_have_reasons(evidence: Evidence, excuses: Excuses) -> Verdict:
    """I4: a body runs once, and once more for each attempt that failed and each crash during it."""
    breaches, repeats, failures = [], 0, 0
    for executions in evidence.executions.values():
        for first, second in pairwise(executions):
            failures += first.has_failed
            repeats += not first.has_failed
            if not excuses.explain_repeat(first, second):
                breaches.append(f"{_name(second)} repeats {_name(first)} of {second.began - first.began:.3f} s before")
    says = "A step's body runs once, and again only for a failed attempt or a crash during it"
    bodies = sum(map(len, evidence.executions.values()))
    return judged("I4", says, breaches, executions=bodies, failed_attempts=failures, repeats_after_faults=repeats)


def seq_without_gaps(evidence: Evidence, _: Excuses) -> Verdict:
    """I5: the steps of a run are numbered from 1 in the order of their commits."""
    numbers: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for step in evidence.steps:
        numbers[step.run_id].append((step.seq, step.committed_at))
    breaches = []
    for run in evidence.runs.values():
        found = sorted(numbers[run.id])
        if [seq for seq, _ in found] != list(range(1, run.steps + 1)):
            breaches.append(f"run {run.id} has {run.steps} steps with the numbers {[seq for seq, _ in found]}")
        if any(after < before for (_, before), (_, after) in pairwise(found)):
            breaches.append(f"the commits of run {run.id} are not in the order of their numbers")
    return judged("I5", "The steps of a run are numbered without gaps", breaches, runs=len(evidence.runs))


def stale_commits_are_refused(evidence: Evidence, _: Excuses) -> Verdict:
    """I7: what is committed was executed by the process that held the run at that moment."""
    says = "A worker that has lost its run commits nothing"
    if evidence.moves is None:
        return not_judged("I7", says, "the database was not given the triggers that note every move")
    holders = _holders(evidence)
    breaches, refused = [], 0
    for key, executions in evidence.executions.items():
        step = evidence.committed.get(key)
        for one in executions:
            if step is None or step.by is None or one.ended is None or one.has_failed:
                continue
            if one.by != step.by:
                refused += 1
                continue
            pid = _holder_at(holders[one.run_id], step.committed_at)
            if pid is not None and pid != one.pid:
                breaches.append(f"{_name(one)} was committed while process {pid} held the run")
    return judged("I7", says, breaches, commits_checked=len(evidence.steps), finished_bodies_refused=refused)


def _holders(evidence: Evidence) -> dict[str, list[tuple[float, int | None]]]:
    """Return for each run from when on which process held it."""
    pids = {move.id: move.pid for move in evidence.worker_moves}
    holders: dict[str, list[tuple[float, int | None]]] = defaultdict(list)
    moves: list[Move] = sorted(evidence.moves or (), key=lambda move: move.at)
    for move in moves:
        holders[move.run_id].append((move.at, pids.get(move.worker_id or "") if move.became == "running" else None))
    return holders


def _holder_at(holders: list[tuple[float, int | None]], at: float) -> int | None:
    """Return who held the run for certain: within the error of the clocks there was no other move."""
    if any(abs(since - at) <= CLOCK_SECONDS for since, _ in holders):
        return None
    return next((pid for since, pid in reversed(holders) if since <= at), None)


def _name(one: Execution) -> str:
    return f"execution {one.by} of {one.run_id} {one.path!r}"
