"""The invariant on limits: a tenant's share is never exceeded, and nothing of it is left held when all is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from celeriac.chaos.judge.evidence import Evidence
from celeriac.chaos.judge.excuses import SETTLES, Excuses
from celeriac.chaos.judge.verdict import Verdict, judged

#: a slot lives for this many dead times; who lost it holds it anew at the next heartbeat
_SLOT_LIVES = 1.5


@dataclass(frozen=True)
class Span:
    """The code of a run was executing somewhere."""

    run_id: str
    tenant_id: str
    since: float
    until: float


def limits_hold(evidence: Evidence, _: Excuses) -> Verdict:
    """I8: links at once and starts a second stay within the tenant's limits; no slot is leaked."""
    says = "No limit is exceeded, and no slot is left held"
    leaked = [f"the gate still holds {key}" for key in evidence.held_keys]
    if not evidence.has_effects:
        return judged("I8", f"{says} (slots only: there is no effect log)", leaked, slots_leaked=len(leaked))
    spans = list(_spans(evidence))
    breaches, most = list(leaked), 0
    for tenant_id, limits in evidence.limits.items():
        own = [span for span in spans if span.tenant_id == tenant_id]
        for span in own:
            at_once = sum(other.since <= span.since < other.until for other in own)
            if _may_have_slipped(evidence, span.since):
                continue
            most = max(most, at_once)
            if at_once > limits.running:
                breaches.append(f"{at_once} links of {tenant_id} at {span.since:.3f}, {limits.running} are allowed")
        breaches += _too_many_starts(evidence, own, limits.starts_per_second, limits.starts_burst)
    return judged("I8", says, breaches, slots_leaked=len(leaked), most_links_at_once=most, links=len(spans))


def _spans(evidence: Evidence) -> Iterator[Span]:
    """Return when links executed: to their own end, that of their process, or at the latest to the next of the run."""
    left = {effect.by: effect.at for effect in evidence.effects if effect.kind == "left"}
    links = [effect for effect in evidence.effects if effect.kind == "link"]
    later: dict[str, float] = {}
    for link in reversed(links):
        run = evidence.runs.get(link.run)
        died = [t.until for t in evidence.troubles if t.kind == "death" and link.pid in t.pids and t.until >= link.at]
        ends = [left.get(link.by), later.get(link.run), run.ended_at if run is not None else None, *died]
        later[link.run] = link.at
        until = min([end for end in ends if end is not None], default=evidence.collected_at)
        yield Span(link.run, run.tenant_id if run is not None else "", link.at, until)


def _may_have_slipped(evidence: Evidence, at: float) -> bool:
    """Say whether slots may have been lost shortly before: with Redis, or by a worker that could not renew them.

    Without the database workers renew them all the same.
    """
    life = _SLOT_LIVES * evidence.dead_after
    return any(
        trouble.kind in ("redis", "silence", "slow")
        and trouble.since <= at <= trouble.until + life + SETTLES[trouble.kind]
        for trouble in evidence.troubles
    )


def _too_many_starts(evidence: Evidence, spans: list[Span], rate: float, burst: int) -> Iterator[str]:
    """Count starts since the beginning: whatever delays a start, more than burst and rate allow cannot have begun."""
    firsts: dict[str, float] = defaultdict(lambda: float("inf"))
    for span in spans:
        firsts[span.run_id] = min(firsts[span.run_id], span.since)
    for number, at in enumerate(sorted(firsts.values()), start=1):
        allowed = burst + rate * (at - evidence.began_at) + 1
        if number > allowed:
            yield f"{number} runs had started at {at:.3f}, {allowed:.1f} are allowed"
