"""The excuses: which troubles explain that a body ran twice, that something came late, or that a limit slipped.

Everything that no trouble of the play explains is a breach; so these rules are as narrow as they can be.
"""

from __future__ import annotations

from dataclasses import dataclass

from celeriac.chaos.judge.evidence import Evidence, Execution
from celeriac.chaos.record import Trouble, TroubleKind

#: seconds that the fleet may take once a trouble is over, by its kind. Runs whose messages Redis has lost are looked
#: for when they have been queued for five seconds, and a consumer that lost its connection looks for a new one.
SETTLES: dict[TroubleKind, float] = {
    "death": 2.0,
    "silence": 2.0,
    "database": 2.0,
    "redis": 10.0,
    "messages": 10.0,
    "slow": 2.0,
    "load": 2.0,
    "machine": 2.0,
    "none": 0.0,
}

#: how late something may be that nothing disturbs
PUNCTUAL_SECONDS = 2.0

#: what keeps workers from renewing their rows for less than the dead time without this cuts nobody off
_MARGIN_SECONDS = 1.5


@dataclass(frozen=True)
class Excuses:
    """The troubles of one play, as explanations."""

    evidence: Evidence

    def explain_repeat(self, first: Execution, second: Execution) -> bool:
        """Say whether the second execution of a step after the first one is lawful."""
        if first.has_failed:
            return True
        return self.was_cut_off(first.pid, first.began, second.began) or self.is_stray(second)

    def was_cut_off(self, pid: int, since: float, until: float) -> bool:
        """Say whether something may have cut off the process's work in the meantime."""
        return any(
            trouble.kind == "death" or self._let_go(pid, trouble, until)
            for trouble in self.evidence.troubles
            if self._cuts(trouble) and concerns(trouble, pid) and self._touches(trouble, since, until)
        )

    def is_stray(self, execution: Execution) -> bool:
        """Say whether the process could not know yet that its run was another's: it had been silent until just then."""
        return any(
            self._let_go(execution.pid, trouble, execution.began)
            for trouble in self.evidence.troubles
            if trouble.kind == "silence" and concerns(trouble, execution.pid)
            if self._touches(trouble, execution.began, execution.began)
        )

    def deadline(self, due: float) -> float:
        """Return until when something that was due must have happened, with all that disturbed it."""
        until = due + PUNCTUAL_SECONDS
        while True:
            later = max(
                (
                    self.healed(trouble) + PUNCTUAL_SECONDS
                    for trouble in self.evidence.troubles
                    if trouble.since <= until and self.healed(trouble) >= due
                ),
                default=until,
            )
            if later <= until:
                return until
            until = later

    def healed(self, trouble: Trouble) -> float:
        """Return when the fleet must have recovered from the trouble."""
        over = trouble.until
        if trouble.kind == "silence":  # others take over from who is silent for too long
            over = min(over, trouble.since + self.evidence.dead_after)
        if trouble.kind == "death":
            over = max(over, self.served_from(trouble.until))
        return over + SETTLES[trouble.kind]

    def served_from(self, at: float) -> float:
        """Return the first moment from `at` on at which a worker was there to take runs."""
        waits = [self._serves_from(pid, joined, at) for pid, joined in self.evidence.joined.items()]
        return min((moment for moment in waits if moment is not None), default=at)

    def _serves_from(self, pid: int, joined: float, at: float) -> float | None:
        """Return from when on, not before `at`, the process took runs; None where it took none any more."""
        ends = [trouble.since for trouble in self.evidence.troubles if trouble.kind == "death" and pid in trouble.pids]
        ends += [departure.asked_at for departure in self.evidence.departures if departure.pid == pid]
        if any(end <= max(at, joined) for end in ends):
            return None
        silences = [t for t in self.evidence.troubles if t.kind == "silence" and pid in t.pids]
        return max([at, joined, *(silence.until for silence in silences if silence.since <= at <= silence.until)])

    @property
    def _grace(self) -> float:
        """How long after a trouble a worker may learn at last that it was judged dead, or had to be."""
        return 2 * self.evidence.heartbeat + 1.0

    def _touches(self, trouble: Trouble, since: float, until: float) -> bool:
        over = trouble.until + (0.0 if trouble.kind == "death" else self._grace)
        return trouble.since <= until and over >= since

    def _let_go(self, pid: int, trouble: Trouble, until: float) -> bool:
        """Say whether the trouble cost the process its place in the fleet, and with it its runs.

        It learns of that at its next heartbeat, and may claim one more run under its old name until then. Where no
        triggers have noted it, the trouble alone has to do.
        """
        return self.evidence.moves is None or any(
            move.what == "left" and move.pid == pid and trouble.since <= move.at <= until + self._grace
            for move in self.evidence.worker_moves
        )

    def _cuts(self, trouble: Trouble) -> bool:
        """Say whether the trouble may cut a worker off; a database that is away for everybody cuts nobody off."""
        return trouble.kind in ("death", "silence") or self.is_starving(trouble)

    def is_starving(self, trouble: Trouble) -> bool:
        """Say whether the machine was strained for so long that a worker may have come too late to renew its row."""
        is_long = trouble.until - trouble.since >= self.evidence.dead_after - _MARGIN_SECONDS
        return trouble.kind == "machine" and is_long


def concerns(trouble: Trouble, pid: int) -> bool:
    """Say whether the trouble was this process's too."""
    return not trouble.pids or pid in trouble.pids
