"""The recipes, in the order in which they run."""

from __future__ import annotations

from benchmarks.tenants.blocked import head_of_line
from benchmarks.tenants.noisy import long_steps, noisy_dwell, recovery, sharded_noisy
from benchmarks.tenants.recipe import Recipe
from benchmarks.tenants.shares import fair_shares, work_conserving

RECIPES: tuple[Recipe, ...] = (
    Recipe(id="T1", title="noisy neighbour", run=noisy_dwell, is_for_ci=True),
    Recipe(id="T13", title="time back to normal", run=recovery),
    Recipe(id="T2", title="noisy neighbour over many keys", run=sharded_noisy, is_for_ci=True),
    Recipe(id="T3", title="long steps", run=long_steps),
    Recipe(id="T4", title="equal and weighted shares", run=fair_shares, is_for_ci=True),
    Recipe(id="T5", title="no slot is wasted", run=work_conserving),
    Recipe(id="T6", title="nobody waits behind the blocked", run=head_of_line, is_for_ci=True),
)
