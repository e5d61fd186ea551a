"""Pools: slots that runs of one tenant share by name, for each link or for the whole run."""

from __future__ import annotations

from dataclasses import replace

from gate_stage import GENEROUS, Stage, in_pools, link, picked, queued, run_pool

from celeriac.platform.flow.gate import Gate, Pool


def test_no_more_links_hold_a_pool_than_it_has_slots(gate: Gate) -> None:
    """The others wait in their lane."""
    gate.enqueue([in_pools(f"run_{number}", link(2)) for number in range(5)])
    assert (picked(gate), picked(gate)) == (["run_0", "run_1"], [])


def test_a_release_lets_the_next_of_the_pool_go(gate: Gate) -> None:
    """One slot, one run."""
    gate.enqueue([in_pools(f"run_{number}", link(1)) for number in range(3)])
    assert picked(gate) == ["run_0"]
    gate.release("run_0", 1)
    assert (picked(gate), picked(gate)) == (["run_1"], [])


def test_all_pools_of_a_run_must_have_room(gate: Gate) -> None:
    """One that is full is enough to wait, and what the run would have had of the other is still there."""
    gate.enqueue([in_pools("run_0", link(1, "a")), in_pools("run_1", link(1, "a"), link(1, "b"))])
    assert (picked(gate), picked(gate)) == (["run_0"], [])
    gate.enqueue([in_pools("run_2", link(1, "b"))])
    assert picked(gate) == ["run_2"]
    gate.release("run_0", 1)
    assert picked(gate) == []
    gate.release("run_2", 1)
    assert picked(gate) == ["run_1"]


def test_a_full_pool_blocks_no_other_lane_of_the_tenant(gate: Gate) -> None:
    """Nor another tenant whose pool has the same name."""
    gate.enqueue([in_pools(f"run_{number}", link(1)) for number in range(3)])
    gate.enqueue([queued("run_free"), in_pools("run_other", link(1), tenant_id="ten_b")])
    assert sorted(picked(gate)) == ["run_0", "run_free", "run_other"]


def test_two_functions_compare_a_shared_pool_each_with_its_own_number(gate: Gate) -> None:
    """The count is one."""
    gate.enqueue([in_pools(f"run_f{number}", link(1), function="f") for number in range(2)])
    gate.enqueue([in_pools(f"run_g{number}", link(3), function="g") for number in range(4)])
    assert (picked(gate), picked(gate)) == (["run_f0", "run_g0", "run_g1"], [])
    gate.release("run_f0", 1)
    assert picked(gate) == ["run_g2"]


def test_a_pool_is_shared_across_queues(gate: Gate) -> None:
    """A release wakes the lane of the other queue."""
    gate.enqueue([in_pools("run_1", link(1)), replace(in_pools("run_2", link(1)), queue="memory")])
    assert (picked(gate), picked(gate, queue="memory")) == (["run_1"], [])
    gate.release("run_1", 1)
    assert picked(gate, queue="memory") == ["run_2"]


def test_lanes_that_wait_for_one_pool_go_in_turn(gate: Gate) -> None:
    """Each release wakes the one that waits longest."""
    gate.enqueue([in_pools(f"run_{number}", link(1), link(9, f"own_{number}")) for number in range(4)])
    order = picked(gate)
    for _ in range(3):
        gate.release(order[-1], 1)
        order += picked(gate)
    assert order == [f"run_{number}" for number in range(4)]


def test_a_lane_that_was_woken_in_vain_passes_the_slot_on(gate: Gate) -> None:
    """The first that waits for the pool lacks another one; the second can go."""
    gate.enqueue([in_pools("run_a", link(1, "a")), in_pools("run_b", link(1, "b"))])
    gate.enqueue([in_pools("run_ab", link(1, "a"), link(1, "b")), in_pools("run_ac", link(1, "a"), link(1, "c"))])
    assert (picked(gate), picked(gate)) == (["run_a", "run_b"], [])
    gate.release("run_a", 1)
    assert picked(gate) == ["run_ac"]


def test_a_woken_lane_whose_run_is_cancelled_passes_the_slot_on(gate: Gate) -> None:
    """It leaves the ring without a look."""
    gate.enqueue([in_pools("run_1", link(1)), in_pools("run_2", link(1), link(1, "b")), in_pools("run_3", link(1))])
    assert (picked(gate), picked(gate)) == (["run_1"], [])
    gate.release("run_1", 1)
    gate.forget("run_2")
    assert picked(gate) == ["run_3"]


def test_a_resume_in_a_blocked_lane_is_looked_at(gate: Gate) -> None:
    """It needs no slot of a pool that it holds for the run already."""
    gate.enqueue([in_pools(f"run_{number}", run_pool(1)) for number in range(2)])
    assert (picked(gate), picked(gate)) == (["run_0"], [])
    gate.release("run_0", 1)
    gate.enqueue([replace(in_pools("run_0", run_pool(1)), fence=2, is_resume=True)])
    assert picked(gate) == ["run_0"]


def test_a_slot_of_a_run_is_held_until_a_link_of_it_is_over(gate: Gate) -> None:
    """Also while it is parked."""
    gate.enqueue([in_pools(f"run_{number}", run_pool(1)) for number in range(2)])
    [first] = gate.pick("runs", 9)
    assert gate.pick("runs", 9, ended=[first]) == []
    gate.enqueue([replace(first, fence=2, is_resume=True)])
    [second] = gate.pick("runs", 9)
    assert [run.run_id for run in gate.pick("runs", 9, ended=[replace(second, is_over=True)])] == ["run_1"]


def test_a_parked_run_holds_its_slot_longer_than_links_do(stage: Stage) -> None:
    """No expiry of links frees it."""
    gate = stage.gate(dead_after=0.2)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pools(f"run_{number}", run_pool(1), link(1, "b")) for number in range(2)])
    [first] = gate.pick("runs", 9)
    gate.release(first.run_id, 1)
    stage.let_pass(0.4)
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == []


def test_what_a_run_holds_is_free_when_it_is_said_to_have_ended(gate: Gate) -> None:
    """By `settle`, and by `forget` of one that was cancelled while parked."""
    gate.enqueue([in_pools(f"run_{number}", run_pool(1)) for number in range(3)])
    for number in range(2):
        [run] = gate.pick("runs", 9)
        gate.release(run.run_id, 1)
        assert picked(gate) == []
        gate.settle([f"run_{number}", "run_unknown"]) if number else gate.forget("run_0")
    assert picked(gate) == ["run_2"]


def test_runs_that_hold_are_confirmed_after_a_loss(stage: Stage) -> None:
    """What reconcile knows from SQL is held as before."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 10)
    gate.hold_runs([in_pools("run_0", run_pool(1)), in_pools("run_9", link(1, "b"))])
    gate.enqueue([in_pools("run_1", run_pool(1)), in_pools("run_2", link(1, "b"))])
    assert (picked(gate), gate.unconfirmed(9)) == (["run_2"], [])
    gate.settle(["run_0"])
    assert picked(gate) == ["run_1"]


def test_a_link_that_proceeds_passes_its_pools_on(gate: Gate) -> None:
    """Nobody slips in between."""
    gate.enqueue([in_pools("run_1", link(1)), in_pools("run_2", link(1))])
    [first] = gate.pick("runs", 9)
    assert gate.proceed(replace(first, fence=2, is_resume=True)) is True
    gate.release("run_1", 1)
    assert picked(gate) == []
    gate.release("run_1", 2)
    assert picked(gate) == ["run_2"]


def test_a_link_goes_back_behind_a_resume_that_waits_for_its_pool(gate: Gate) -> None:
    """And that one goes."""
    gate.enqueue([in_pools("run_1", link(1), function="f")])
    [first] = gate.pick("runs", 9)
    gate.enqueue([replace(in_pools("run_2", link(1), function="g"), is_resume=True)])
    assert picked(gate) == []
    assert gate.proceed(replace(first, fence=2, is_resume=True)) is False
    assert picked(gate) == ["run_2"]


def test_the_slots_of_a_dead_worker_are_free_by_time_alone(stage: Stage) -> None:
    """A lane that waits for them is looked at then."""
    gate = stage.gate(dead_after=0.3)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pools("run_1", link(1)), in_pools("run_2", link(1))])
    assert (picked(gate), picked(gate)) == (["run_1"], [])
    stage.let_pass(0.45)
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == ["run_2"]


def test_a_link_that_executes_takes_its_pools_anew(stage: Stage) -> None:
    """After a loss, by its start or at the next heartbeat."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 10)
    gate.started(in_pools("run_1", link(2)))
    gate.renew([in_pools("run_2", link(2), run_pool(1, "b"))])
    gate.enqueue([in_pools("run_3", link(2)), in_pools("run_4", run_pool(1, "b"))])
    assert picked(gate) == []


def test_a_renewal_without_pools_keeps_those_that_the_link_holds(stage: Stage) -> None:
    """Whoever renews need not know them."""
    gate = stage.gate(dead_after=0.4)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pools("run_1", link(1)), in_pools("run_2", link(1))])
    assert picked(gate) == ["run_1"]
    stage.let_pass(0.4)
    gate.renew([queued("run_1")])
    stage.let_pass(0.3)
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == []


def test_a_refused_pick_takes_nothing(gate: Gate) -> None:
    """Neither a slot of its tenant nor of the pool that has one."""
    limits = replace(GENEROUS, running=2)
    blocked = replace(in_pools("run_2", link(1, "b"), link(1, "a")), limits=limits)
    gate.enqueue([replace(in_pools("run_1", link(1, "a")), limits=limits), blocked])
    assert (picked(gate), picked(gate)) == (["run_1"], [])
    gate.enqueue([replace(in_pools("run_3", Pool(name="b", slots=1)), limits=limits)])
    assert picked(gate) == ["run_3"]
