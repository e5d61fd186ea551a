"""The invariants on runs: each event has its runs, each run ends as it must, and then is over."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from celeriac.chaos.judge.evidence import Evidence, RunRow
from celeriac.chaos.judge.excuses import Excuses
from celeriac.chaos.judge.steps import CLOCK_SECONDS
from celeriac.chaos.judge.verdict import Verdict, judged

#: what `ends` allows a run to be in the end; who is asked to end may have ended before
_ALLOWED = {
    "completed": {"completed"},
    "cancelled": {"cancelled", "completed"},
    "poisoned": {"failed"},
    "waiting": {"parked"},
}

#: functions that start one child each: by an event, by invoke, and after their end
_PARENTS = {"parent", "invoker", "leaver"}

#: this many deaths fail a run as poison, also where none of them was its own doing
_DEATHS_OF_POISON = 3


def events_have_their_runs(evidence: Evidence, _: Excuses) -> Verdict:
    """I1: an accepted event has exactly the run that it starts."""
    breaches = [f"the door raised {surprise}" for surprise in evidence.surprises]
    breaches += [f"nobody has matched the event {name}" for name in evidence.unmatched]
    for sent in evidence.sent:
        found = evidence.run_of_event.get(sent.event_id, [])
        if [run.function_id for run in found] != [sent.function_id]:
            breaches.append(f"event {sent.event_id} of {sent.function_id!r} has the runs {[run.id for run in found]}")
    says = "Every accepted event has its run, once"
    return judged("I1", says, breaches, events=len(evidence.sent), runs=len(evidence.runs))


def runs_end_or_wait(evidence: Evidence, _: Excuses) -> Verdict:
    """I2: every run has ended, or stands parked with a wait for something that is still to come."""
    awaited = {wait.run_id for wait in evidence.open_waits if wait.wake_at > evidence.collected_at}
    breaches = [
        f"run {run.id} of {run.function_id!r} is {run.status}{' with nothing to wait for' * (run.status == 'parked')}"
        for run in evidence.runs.values()
        if not run.is_final and not (run.status == "parked" and run.id in awaited)
    ]
    statuses = dict(sorted(Counter(run.status for run in evidence.runs.values()).items()))
    return judged("I2", "Every run has ended or waits lawfully", breaches, statuses=statuses)


def runs_end_right(evidence: Evidence, _: Excuses) -> Verdict:
    """Every run ends as its event says, with the output that follows from it."""
    breaches = []
    for sent in evidence.sent:
        for run in evidence.run_of_event.get(sent.event_id, []):
            if run.status in ("queued", "running") or (run.status == "parked" and sent.ends != "waiting"):
                continue  # I2 says so
            if run.status not in _ALLOWED[sent.ends] and not _was_poisoned(evidence, run):
                code = f" ({run.error_code})" if run.error_code else ""
                breaches.append(f"run {run.id} of {sent.function_id!r} is {run.status}{code}, not {sent.ends}")
            elif run.status == "completed" and run.output != sent.output:
                breaches.append(f"run {run.id} of {sent.function_id!r} returned {run.output!r}, not {sent.output!r}")
            elif sent.ends == "poisoned" and run.error_code != "poison":
                breaches.append(f"run {run.id} failed with {run.error_code!r}, not as poison")
    says = "Runs end as their events say, with the right outputs"
    return judged("outputs", says, breaches, runs=len(evidence.sent))


def _was_poisoned(evidence: Evidence, run: RunRow) -> bool:
    """Say whether the run was struck so often by deaths of others that it had to be taken for their cause."""
    if run.error_code != "poison":
        return False
    links = [(effect.pid, effect.at) for effect in evidence.effects if effect.kind == "link" and effect.run == run.id]
    deaths = [trouble for trouble in evidence.troubles if trouble.kind == "death"]
    struck = sum(any(pid in death.pids and at <= death.until for pid, at in links) for death in deaths)
    return struck >= _DEATHS_OF_POISON


def children_are_heard_once(evidence: Evidence, excuses: Excuses) -> Verdict:
    """I10: a parent has one run for each child that it starts, and goes on once when that has told its result."""
    children: Counter[str] = Counter(run.parent_id for run in evidence.runs.values() if run.parent_id is not None)
    breaches, heard = [], 0
    for sent in evidence.sent:
        for run in evidence.run_of_event.get(sent.event_id, []) if sent.function_id == "parent" else []:
            if children[run.id] > 1 or (run.status == "completed" and not children[run.id]):
                breaches.append(f"run {run.id} has started {children[run.id]} children, not one")
            resumed = evidence.executions.get((run.id, "after"), [])
            heard += bool(resumed)
            for first, second in pairwise(resumed):
                if not excuses.explain_repeat(first, second):
                    breaches.append(f"run {run.id} went on twice: at {first.began:.3f} and {second.began:.3f}")
    return judged("I10", "A parent goes on once for each child", breaches, parents_that_went_on=heard)


def cancelled_is_over(evidence: Evidence, excuses: Excuses) -> Verdict:
    """I12: no body begins after its run has ended, and a cancelled run ends soon."""
    breaches, slowest = [], 0.0
    for (run_id, path), executions in evidence.executions.items():
        run = evidence.runs.get(run_id)
        for one in executions if run is not None and run.ended_at is not None else []:
            assert run is not None and run.ended_at is not None
            if one.began > run.ended_at + CLOCK_SECONDS and not excuses.is_stray(one):
                breaches.append(
                    f"{path!r} of run {run_id} began {one.began - run.ended_at:.3f} s after it was {run.status}"
                )
    for asked in evidence.cancelled:
        run = evidence.runs.get(asked.run_id)
        if run is None or run.status != "cancelled" or run.ended_at is None:
            continue
        slowest = max(slowest, run.ended_at - asked.answered_at)
        if run.ended_at > excuses.deadline(asked.answered_at + evidence.heartbeat):
            breaches.append(
                f"run {run.id} was cancelled {run.ended_at - asked.answered_at:.2f} s after it was asked to"
            )
    says = "No step starts after its run has ended, and who is asked to end does so within a heartbeat and 2 s"
    cancelled = sum(run.status == "cancelled" for run in evidence.runs.values())
    return judged("I12", says, breaches, cancelled=cancelled, slowest_s=round(slowest, 3))
