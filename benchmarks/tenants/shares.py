"""T4 and T5: how the slots are shared between tenants who all wait, and that sharing wastes none of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from benchmarks.tenants.backlog import post, tell_functions
from benchmarks.tenants.dwell import CONCURRENCY, WORKERS
from benchmarks.tenants.recipe import Outcome, Setting, at_least, at_most
from benchmarks.tenants.site import Site, site_on
from celeriac.tenants.quotas import Limits

TASK_SECONDS = 0.05
#: runs a second that eight slots could take at most; no tenant's backlog may end within the window
_MOST_RATE = 170
_SETTLE_SECONDS = 3.0
#: a little more than what headroom is kept for others after their last run
_ALONE_AFTER_SECONDS = 6.0

_SERVED = """
SELECT tenant_id, sum(ended_at - started_at) FROM steps
WHERE tenant_id = ANY(?) AND started_at >= ? AND ended_at < ? GROUP BY tenant_id"""


def jain(served: Sequence[float]) -> float:
    """Return Jain's index: 1 where all got the same, 1/n where one got everything."""
    squares = sum(value * value for value in served)
    return sum(served) ** 2 / (len(served) * squares) if squares else 0.0


def share_error(served: Sequence[float], weights: Sequence[float]) -> float:
    """Return by how much the share of one of them differs most from that of its weight, relative to it."""
    total, weight = sum(served), sum(weights)
    pairs = zip(served, weights, strict=True)
    return max(abs(value / total / (own / weight) - 1) for value, own in pairs) if total else 1.0


def fair_shares(setting: Setting) -> Outcome:
    """Ten tenants of equal weight with a backlog that does not end; then three that weigh 1, 2 and 4."""
    seconds, weighted_seconds = (5, 6) if setting.is_quick else (30, 20)
    equal = _served(setting, [1.0] * 10, seconds)
    weights = [1.0, 2.0, 4.0]
    weighted = _served(setting, weights, weighted_seconds)
    fifo = _served(setting, [1.0] * 10, min(10, seconds), is_fifo=True)
    slack = 0.1 if setting.is_quick else 0.05
    return Outcome(
        figures={
            "jain": jain(equal),
            "weighted_share_error": share_error(weighted, weights),
            "shares_of_1_2_4": " ".join(f"{value / (sum(weighted) or 1):.3f}" for value in weighted),
            "slots_used": sum(equal) / 1e6 / seconds,
        },
        bounds=(at_least("jain", 0.99), at_most("weighted_share_error", slack)),
        control={"jain": jain(fifo)},
        control_bounds=(at_most("jain", 0.5),),
    )


def _served(setting: Setting, weights: Sequence[float], seconds: float, *, is_fifo: bool = False) -> list[float]:
    """Return the microseconds of steps that each tenant got within a window in which all of them wait."""
    with site_on(setting.servers, is_fifo=is_fifo) as site:
        tell_functions(site)
        members = [site.add_tenants(1, Limits(weight=weight))[0].tenant_id for weight in weights]
        for tenant_id, weight in zip(members, weights, strict=True):
            most = _MOST_RATE * (seconds + _SETTLE_SECONDS + 2) * weight / sum(weights)
            post(site, tenant_id, int(most * 1.1) if not is_fifo else 600, TASK_SECONDS)
        site.fleet.start_workers(WORKERS, CONCURRENCY)
        site.wait_for_first(members)
        time.sleep(_SETTLE_SECONDS)
        since = site.now()
        time.sleep(seconds)
        return _between(site, members, since, site.now())


def _between(site: Site, tenant_ids: list[str], since: int, until: int) -> list[float]:
    served: Mapping[str, float] = {row[0]: float(row[1]) for row in site.fleet.query(_SERVED, tenant_ids, since, until)}
    return [served.get(tenant_id, 0.0) for tenant_id in tenant_ids]


def work_conserving(setting: Setting) -> Outcome:
    """One tenant alone against ten with the same work between them, in turns; no limits that bind.

    Alone is who has been alone for as long as the Gate keeps headroom for others.
    """
    runs, rounds = (300, 1) if setting.is_quick else (1_200, 3)
    with site_on(setting.servers) as site:
        tell_functions(site)
        crowd = [one.tenant_id for one in site.add_tenants(10)]
        site.start_workers(WORKERS, CONCURRENCY)
        alone, shared = [], []
        for _ in range(rounds):
            time.sleep(_ALONE_AFTER_SECONDS)
            alone.append(_rate(site, crowd[:1], runs))
            shared.append(_rate(site, crowd, runs))
    with site_on(setting.servers) as site:
        tell_functions(site)
        fenced = [one.tenant_id for one in site.add_tenants(10, Limits(running=1))]
        site.start_workers(WORKERS, CONCURRENCY)
        walled = _rate(site, fenced[:1], runs // 10) / _rate(site, fenced, runs // 2)
    one, ten = sorted(alone)[rounds // 2], sorted(shared)[rounds // 2]
    return Outcome(
        figures={"ratio": min(one, ten) / max(one, ten), "alone_runs_per_s": one, "ten_runs_per_s": ten},
        bounds=(at_least("ratio", 0.9 if setting.is_quick else 0.95),),
        control={"ratio": walled, "what": "each tenant has one slot of its own"},
        control_bounds=(at_most("ratio", 0.5),),
    )


def _rate(site: Site, tenant_ids: Sequence[str], runs: int) -> float:
    """Return the runs a second of a burst, from its first start to its last end."""
    since = site.now()
    for tenant_id in tenant_ids:
        post(site, tenant_id, runs // len(tenant_ids), TASK_SECONDS)
    site.wait_for_end(tenant_ids)
    [[count, first, last]] = site.fleet.query(
        "SELECT count(*), min(started_at), max(ended_at) FROM runs WHERE tenant_id = ANY(?) AND created_at >= ?",
        list(tenant_ids),
        since,
    )
    return float(count * 1_000_000 / (last - first))
