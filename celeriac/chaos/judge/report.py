"""The report: every invariant with its verdict, as one JSON object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from celeriac.chaos.judge.evidence import Evidence
from celeriac.chaos.judge.excuses import Excuses
from celeriac.chaos.judge.limits import limits_hold
from celeriac.chaos.judge.recovery import nobody_is_buried_alive, runs_are_rescued, workers_stay
from celeriac.chaos.judge.runs import (
    cancelled_is_over,
    children_are_heard_once,
    events_have_their_runs,
    runs_end_or_wait,
    runs_end_right,
)
from celeriac.chaos.judge.steps import (
    committed_stays,
    repeats_have_reasons,
    seq_without_gaps,
    stale_commits_are_refused,
)
from celeriac.chaos.judge.streams import streams_are_whole
from celeriac.chaos.judge.timers import timers_are_punctual
from celeriac.chaos.judge.verdict import Verdict, not_judged

Rule = Callable[[Evidence, Excuses], Verdict]

RULES: tuple[Rule, ...] = (
    events_have_their_runs,
    runs_end_or_wait,
    committed_stays,
    repeats_have_reasons,
    seq_without_gaps,
    timers_are_punctual,
    stale_commits_are_refused,
    limits_hold,
    children_are_heard_once,
    cancelled_is_over,
    runs_end_right,
    streams_are_whole,
    runs_are_rescued,
    nobody_is_buried_alive,
    workers_stay,
)

#: rules that see nothing without the effect log
_OF_EFFECTS = {"I3", "I4", "I7"}

_MISSING = (not_judged("I11", "An approval is decided once", "the play has no approvals yet"),)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a play."""

    seed: int
    seconds: float
    database: str
    #: what struck, in the order of the times
    faults: Sequence[dict[str, Any]] = ()
    verdicts: Sequence[Verdict] = ()
    #: what the play saw, faults and their consequences, in seconds since its beginning
    troubles: Sequence[dict[str, Any]] = ()
    #: totals of the play
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether nothing was broken."""
        return not any(verdict.verdict == "broken" for verdict in self.verdicts)

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "seed": self.seed,
            "ok": self.is_ok,
            "seconds": self.seconds,
            "database": self.database,
            "counts": self.counts,
            "faults": list(self.faults),
            "troubles": list(self.troubles),
            "invariants": [verdict.export() for verdict in self.verdicts],
        }


def judge(evidence: Evidence) -> list[Verdict]:
    """Return the verdict on every invariant, in their order."""
    excuses = Excuses(evidence)
    verdicts = [rule(evidence, excuses) for rule in RULES]
    if not evidence.has_effects:
        verdicts = [
            not_judged(one.id, one.says, "there is no effect log") if one.id in _OF_EFFECTS else one for one in verdicts
        ]
    return sorted([*verdicts, *_MISSING], key=_order)


def _order(verdict: Verdict) -> tuple[int, str]:
    number = verdict.id.removeprefix("I")
    return (int(number), "") if number.isdigit() else (99, verdict.id)
