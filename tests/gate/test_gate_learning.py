"""Numbers that change while runs are queued hold for those at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate_stage import GENEROUS, Stage, in_pace, in_pools, link, picked, queued

from celeriac.platform.flow.gate import Gate, Queued

ONE = replace(GENEROUS, running=1)


def blocked(gate: Gate, *runs: Queued) -> None:
    """Let the first go; the others wait."""
    gate.enqueue(runs)
    assert (picked(gate), picked(gate)) == ([runs[0].run_id], [])


@pytest.mark.parametrize("how", ["learn", "enqueue"])
def test_a_pool_that_is_raised_lets_its_lane_go_at_once(gate: Gate, how: str) -> None:
    """Told by an arrival or by itself."""
    blocked(gate, *(in_pools(f"run_{number}", link(1)) for number in range(4)))
    getattr(gate, how)([in_pools("run_9", link(3))])
    assert picked(gate)[:2] == ["run_1", "run_2"]


def test_a_pool_that_is_lowered_binds_runs_that_were_queued_before(gate: Gate) -> None:
    """Links that run go on."""
    gate.enqueue([in_pools(f"run_{number}", link(3)) for number in range(9)])
    assert len(picked(gate)) == 3
    gate.learn([in_pools("run_9", link(1))])
    gate.release("run_0", 1)
    gate.release("run_1", 1)
    assert picked(gate) == []
    gate.release("run_2", 1)
    assert picked(gate) == ["run_3"]


def test_a_pace_that_is_raised_lets_its_lane_go(stage: Stage) -> None:
    """One that was to wait an hour goes after its new share."""
    gate = stage.gate(dead_after=600)
    gate.attend("wrk_1", ["runs"], 10)
    blocked(gate, in_pace("run_0", 1, 3_600, burst=1), in_pace("run_1", 1, 3_600, burst=1))
    gate.learn([in_pace("run_9", 1, 3_600, burst=2)])
    assert picked(gate) == ["run_1"]


def test_a_tenant_whose_limit_is_raised_goes_at_once(gate: Gate) -> None:
    """Its running links, here."""
    blocked(gate, *(queued(f"run_{number}", limits=ONE) for number in range(4)))
    gate.learn([queued("run_9", limits=replace(GENEROUS, running=3))])
    assert picked(gate) == ["run_1", "run_2"]


def test_a_tenant_that_gets_tokens_goes_at_once(stage: Stage) -> None:
    """It had none, for ever."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued("run_1", limits=replace(GENEROUS, starts_per_second=0.0, starts_burst=0))])
    assert picked(gate) == []
    gate.learn([queued("run_9")])
    stage.let_pass(0.001)
    assert picked(gate) == ["run_1"]


def test_a_number_of_one_function_leaves_the_others_alone(gate: Gate) -> None:
    """The pool is shared, the number is not."""
    gate.enqueue([in_pools(f"run_{name}{number}", link(1), function=name) for name in "fg" for number in range(2)])
    assert len(picked(gate)) == 1
    gate.learn([in_pools("run_9", link(2), function="g")])
    assert (picked(gate), picked(gate)) == (["run_g0"], [])


def test_a_run_moves_to_the_lane_of_what_it_needs_now(gate: Gate) -> None:
    """A limit that is declared no more binds nobody, and the run keeps its age."""
    blocked(gate, *(in_pools(f"run_{number}", link(1)) for number in range(3)))
    gate.enqueue([replace(queued("run_3"), function="app/f")])
    gate.learn([replace(queued("run_2"), function="app/f"), replace(queued("run_unknown"), function="app/f")])
    assert (picked(gate), gate.waiting("runs")) == (["run_2", "run_3"], 1)


def test_what_is_learned_twice_changes_nothing(gate: Gate) -> None:
    """Reconcile says it round by round."""
    runs = [in_pools(f"run_{number}", link(1)) for number in range(3)]
    blocked(gate, *runs)
    gate.learn(runs)
    gate.learn(runs)
    assert (picked(gate), gate.waiting("runs")) == ([], 2)
