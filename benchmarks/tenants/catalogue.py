"""The recipes, in the order in which they run."""

from __future__ import annotations

from benchmarks.tenants.blocked import head_of_line
from benchmarks.tenants.capacity import concurrency_cap
from benchmarks.tenants.isolation import isolated_routes, isolated_rows
from benchmarks.tenants.keys import revoked_keys
from benchmarks.tenants.limiter import limiter_truth
from benchmarks.tenants.models import cost_budget, requests_a_minute, usage_after_chaos
from benchmarks.tenants.noisy import long_steps, noisy_dwell, recovery, sharded_noisy
from benchmarks.tenants.quota_edge import quota_edge
from benchmarks.tenants.recipe import Recipe
from benchmarks.tenants.scale import tenant_scale
from benchmarks.tenants.shares import fair_shares, work_conserving

RECIPES: tuple[Recipe, ...] = (
    Recipe(id="T1", title="noisy neighbour", run=noisy_dwell, is_for_ci=True),
    Recipe(id="T13", title="time back to normal", run=recovery),
    Recipe(id="T2", title="noisy neighbour over many keys", run=sharded_noisy, is_for_ci=True),
    Recipe(id="T3", title="long steps", run=long_steps),
    Recipe(id="T4", title="equal and weighted shares", run=fair_shares, is_for_ci=True),
    Recipe(id="T5", title="no slot is wasted", run=work_conserving),
    Recipe(id="T6", title="nobody waits behind the blocked", run=head_of_line, is_for_ci=True),
    Recipe(id="T7", title="the limiter tells the truth", run=limiter_truth, is_for_ci=True),
    Recipe(id="T8", title="concurrency under kill -9", run=concurrency_cap, is_for_ci=True),
    Recipe(id="T9", title="10,000 tenants", run=tenant_scale, is_for_ci=True),
    Recipe(id="T10", title="isolated routes", run=isolated_routes),
    Recipe(id="T11", title="isolated rows", run=isolated_rows),
    Recipe(id="T12", title="the edge of a quota", run=quota_edge, is_for_ci=True),
    Recipe(id="MODEL", title="model requests a minute", run=requests_a_minute),
    Recipe(id="BUDGET", title="a cost budget", run=cost_budget),
    Recipe(id="USAGE", title="usage after kill -9", run=usage_after_chaos),
    Recipe(id="KEYS", title="a revoked key", run=revoked_keys),
)
