"""The promises on recovery: how soon a dead worker's runs go on, who is buried alive, and who ends without a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from celeriac.chaos.judge.evidence import Evidence, Move
from celeriac.chaos.judge.excuses import PUNCTUAL_SECONDS, Excuses
from celeriac.chaos.judge.verdict import Verdict, judged, not_judged
from celeriac.chaos.record import Trouble

_NO_MOVES = "the database was not given the triggers that note every move"


@dataclass(frozen=True)
class Rescue:
    """A run that a dead or silent worker held went on elsewhere."""

    run_id: str
    #: seconds until it was taken over, and until it executed again
    queued_after: float
    running_after: float | None


def runs_are_rescued(evidence: Evidence, excuses: Excuses) -> Verdict:
    """The runs of a worker that was killed go on within 2 s; those of a silent one within the dead time and 2 s."""
    says = "Runs of a killed worker are taken over within 2 s, of a silent one within the dead time and 2 s"
    if evidence.moves is None:
        return not_judged("recovery", says, _NO_MOVES)
    by_run: dict[str, list[Move]] = defaultdict(list)
    for move in sorted(evidence.moves, key=lambda move: move.at):
        by_run[move.run_id].append(move)
    breaches = []
    slowest: dict[str, float] = {"killed_s": 0.0, "silent_s": 0.0, "executing_again_s": 0.0}
    counted = 0
    for trouble in evidence.troubles:
        if trouble.kind not in ("death", "silence") or not trouble.pids:
            continue
        since, allowed, kind = _measure(evidence, excuses, trouble)
        for rescue in _rescues(evidence, by_run, trouble, since):
            if _is_disturbed(evidence, trouble, since + rescue.queued_after):
                continue
            counted += 1
            slowest[kind] = max(slowest[kind], rescue.queued_after)
            slowest["executing_again_s"] = max(slowest["executing_again_s"], rescue.running_after or 0.0)
            if rescue.queued_after > allowed:
                took = f"{rescue.queued_after:.2f} s after {trouble.fault or 'a death'}"
                breaches.append(f"run {rescue.run_id} was taken over {took}, {allowed:g} s are allowed")
    measured = {name: round(value, 3) for name, value in slowest.items()}
    return judged("recovery", says, breaches, runs_taken_over=counted, **measured)


def _measure(evidence: Evidence, excuses: Excuses, trouble: Trouble) -> tuple[float, float, str]:
    """Return from when on the rescue counts, how long it may take, and what it is called."""
    if trouble.kind == "silence":
        return trouble.since, evidence.dead_after + PUNCTUAL_SECONDS, "silent_s"
    return excuses.served_from(trouble.until), PUNCTUAL_SECONDS, "killed_s"


def _rescues(evidence: Evidence, by_run: dict[str, list[Move]], trouble: Trouble, since: float) -> Iterator[Rescue]:
    """Return what became of the runs that the worker held when the trouble began and still holds when it is over."""
    ids = {move.id for move in evidence.worker_moves if move.pid in trouble.pids}
    for run_id, moves in by_run.items():
        before = [move for move in moves if move.at <= trouble.since]
        after = [move for move in moves if move.at > trouble.since]
        if not before or before[-1].became != "running" or before[-1].worker_id not in ids:
            continue
        taken = next((move for move in after if move.became == "queued"), None)
        if taken is None or any(move.became != "queued" for move in after[: after.index(taken)]):
            continue  # it ended or parked by itself, before it was struck or after a short silence
        again = next((move.at - since for move in after if move.became == "running"), None)
        yield Rescue(run_id, max(0.0, taken.at - since), again)


def _is_disturbed(evidence: Evidence, trouble: Trouble, until: float) -> bool:
    """Say whether another trouble struck at the same time, so that the rescue proves nothing."""
    return any(
        other is not trouble
        and other.kind in ("death", "silence", "database", "slow", "machine")
        and other.since <= until
        and other.until + PUNCTUAL_SECONDS >= trouble.since
        for other in evidence.troubles
    )


def nobody_is_buried_alive(evidence: Evidence, excuses: Excuses) -> Verdict:
    """No worker that lives is judged dead, by another or by itself, not even after an outage of the database."""
    says = "Live workers keep their ids and their runs, however long the database was away"
    if evidence.moves is None:
        return not_judged("outage", says, _NO_MOVES)
    left = [move for move in evidence.worker_moves if move.what == "left"]
    breaches = [
        f"worker {move.id} (pid {move.pid}) was buried at {move.at:.3f} and lived"
        for move in left
        if not move.has_heir and not _was_gone(evidence, excuses, move.pid, move.at)
    ]
    breaches += [
        f"worker {move.id} (pid {move.pid}) gave itself up at {move.at:.3f}, and nobody had judged it"
        for move in left
        if move.has_heir
    ]
    outages = [t.until - t.since for t in evidence.troubles if t.kind == "database"]
    longest = round(max(outages, default=0.0), 2)
    joined = [move.pid for move in evidence.worker_moves if move.what == "joined"]
    anew = len(joined) - len(set(joined))
    return judged("outage", says, breaches, longest_outage_s=longest, workers_that_joined_anew=anew)


def _was_gone(evidence: Evidence, excuses: Excuses, pid: int, at: float) -> bool:
    if any(gone.pid == pid and gone.asked_at <= at for gone in evidence.departures):
        return True
    for trouble in evidence.troubles:
        # The kernel shows a process as dead before it lets its parent know.
        is_dead = trouble.kind == "death" and pid in trouble.pids and trouble.since - PUNCTUAL_SECONDS <= at
        is_mute = (trouble.kind in ("silence", "slow") and pid in trouble.pids) or excuses.is_starving(trouble)
        if is_dead or (is_mute and trouble.since <= at <= trouble.until + PUNCTUAL_SECONDS):
            return True
    return False


def workers_stay(evidence: Evidence, _: Excuses) -> Verdict:
    """No worker ends that nobody ended; who is asked to leave does so in order."""
    breaches = [
        f"process {trouble.pids} ended by itself: {trouble.detail}"
        for trouble in evidence.troubles
        if trouble.is_unasked and not _had_to_end(evidence, trouble)
    ]
    slowest = max((gone.gone_at - gone.asked_at for gone in evidence.departures), default=0.0)
    says = "No worker ends by itself, and those that are asked to leave do so in order"
    counts = {"left_in_order": len(evidence.departures), "slowest_leave_s": round(slowest, 2)}
    return judged("workers", says, breaches, **counts)


def _had_to_end(evidence: Evidence, death: Trouble) -> bool:
    """Say whether a deadly body was the last thing that the process began, or it could open no file any more."""
    deadly = {run.id for run in evidence.runs.values() if run.function_id == "deadly"}
    ended = {effect.by for effect in evidence.effects if effect.kind == "ended"}
    took_poison = any(
        effect.kind == "began" and effect.pid in death.pids and effect.run in deadly and effect.by not in ended
        for effect in evidence.effects
        if effect.at <= death.until
    )
    return (
        took_poison
        or _could_not_start(evidence, death)
        or any(
            other.fault == "F13:no-files" and set(other.pids) & set(death.pids) and other.since <= death.until
            for other in evidence.troubles
        )
    )


def _could_not_start(evidence: Evidence, death: Trouble) -> bool:
    """Say whether the database did not let a worker join, which says so by its exit code, to be started anew."""
    has_worked = any(effect.pid in death.pids for effect in evidence.effects)
    is_away = any(one.kind == "database" and one.since <= death.until <= one.until for one in evidence.troubles)
    return death.detail == "exit code 1" and is_away and not has_worked
