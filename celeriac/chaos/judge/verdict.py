"""The verdict on one invariant, with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

#: breaches that a report shows of each invariant; it counts all of them
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one invariant."""

    id: str
    says: str
    verdict: Literal["held", "broken", "not judged"]
    breaches: Sequence[str] = ()
    #: what was looked at, and what was measured
    evidence: dict[str, Any] = field(default_factory=dict)

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        shown: dict[str, Any] = {"id": self.id, "says": self.says, "verdict": self.verdict, "evidence": self.evidence}
        if self.breaches:
            shown |= {"breaches": len(self.breaches), "first_breaches": list(self.breaches[:_SHOWN])}
        return shown


def judged(id: str, says: str, breaches: Sequence[str], **evidence: Any) -> Verdict:
    """Return the verdict that follows from the breaches found."""
    return Verdict(
        id=id, says=says, verdict="broken" if breaches else "held", breaches=tuple(breaches), evidence=evidence
    )


def not_judged(id: str, says: str, why: str) -> Verdict:
    """Return the verdict on what could not be looked at."""
    return Verdict(id=id, says=says, verdict="not judged", evidence={"why": why})
