"""Lanes: whose run goes next between tenants of different weight, between a tenant's lanes, and inside a lane."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from gate_stage import GENEROUS, Stage, in_pace, in_pools, link, picked, queued

from celeriac.platform.flow.gate import Gate, Queued


def of(function: str, run_id: str, **more: object) -> Queued:
    """A run of the function."""
    return replace(queued(run_id), function=function, **more)


def test_a_tenant_of_weight_two_goes_twice_as_often(gate: Gate) -> None:
    """And one of a half, half as often."""
    for tenant, weight in (("ten_a", 1.0), ("ten_b", 2.0), ("ten_c", 0.5)):
        limits = replace(GENEROUS, weight=weight)
        gate.enqueue([queued(f"{tenant}_{number}", tenant, limits=limits) for number in range(80)])
    shares = Counter(run.tenant_id for run in gate.pick("runs", 70))
    assert shares == {"ten_a": 20, "ten_b": 40, "ten_c": 10}


def test_a_new_weight_holds_for_runs_that_wait(gate: Gate) -> None:
    """It comes with the next arrival."""
    gate.enqueue([queued(f"run_{tenant}{number}", f"ten_{tenant}") for tenant in "ab" for number in range(40)])
    gate.learn([queued("run_x", "ten_b", limits=replace(GENEROUS, weight=3.0))])
    assert Counter(run.tenant_id for run in gate.pick("runs", 40)) == {"ten_a": 10, "ten_b": 30}


def test_the_lanes_of_a_tenant_go_in_turn(gate: Gate) -> None:
    """However many runs stand in one of them."""
    gate.enqueue([of("f", f"run_f{number}") for number in range(50)])
    gate.enqueue([of("g", "run_g1"), of("g", "run_g2"), of("h", "run_h1")])
    assert picked(gate, 6) == ["run_f0", "run_g1", "run_h1", "run_f1", "run_g2", "run_f2"]


def test_many_lanes_give_a_tenant_no_more_than_one_lane_gives_another(gate: Gate) -> None:
    """The tenant comes first."""
    gate.enqueue([of(f"f{number}", f"run_{number}") for number in range(50)])
    gate.enqueue([queued(f"run_b{number}", "ten_b") for number in range(50)])
    assert Counter(run.tenant_id for run in gate.pick("runs", 40)) == {"ten_a": 20, "ten_b": 20}


def test_a_lane_whose_head_is_a_resume_goes_before_the_tenants_other_lanes(gate: Gate) -> None:
    """Then those with an internal start."""
    gate.enqueue([of("f", "run_f1"), of("f", "run_f2"), of("g", "run_g1"), of("h", "run_h1", is_internal=True)])
    gate.enqueue([of("g", "run_g2", is_resume=True), of("g", "run_g3", is_resume=True)])
    assert picked(gate) == ["run_g2", "run_g3", "run_h1", "run_f1", "run_g1", "run_f2"]


def test_starts_go_by_age_less_priority(gate: Gate) -> None:
    """Ten seconds count as if it had come ten seconds earlier; a resume goes before all."""
    gate.enqueue([of("f", "run_1"), of("f", "run_2", priority=10), of("f", "run_3", priority=-10), of("f", "run_4")])
    gate.enqueue([of("f", "run_5", is_resume=True)])
    assert picked(gate) == ["run_5", "run_2", "run_1", "run_4", "run_3"]


def test_priority_moves_a_start_by_half_a_day_at_most(stage: Stage) -> None:
    """Beyond that, age decides again."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([of("f", "run_1", priority=43_200), of("f", "run_2", priority=10**9)])
    gate.enqueue([of("f", "run_3", priority=-43_200), of("f", "run_4", priority=-(10**9))])
    assert picked(gate) == ["run_1", "run_2", "run_3", "run_4"]


def test_blocked_lanes_hold_nobody_up(gate: Gate) -> None:
    """With 300 lanes that wait and one that can go, it goes at once, and again."""
    gate.enqueue([in_pools("run_0", link(1))])
    picked(gate)
    gate.enqueue([in_pools(f"run_{number}", link(1), link(1, f"own {number}")) for number in range(1, 301)])
    gate.enqueue([of("free", "run_free1")])
    assert picked(gate, 1) == ["run_free1"]
    gate.enqueue([of("free", "run_free2")])
    assert picked(gate, 1) == ["run_free2"]


def test_ten_thousand_runs_that_a_throttle_blocks_hold_nobody_up(gate: Gate) -> None:
    """Neither other lanes of the tenant nor others."""
    gate.enqueue([in_pace(f"run_{number}", 1, 3_600) for number in range(10_000)])
    assert len(picked(gate)) == 1
    gate.enqueue([queued("run_own"), queued("run_b", "ten_b")])
    assert sorted(picked(gate)) == ["run_b", "run_own"]


def test_a_cancelled_run_leaves_its_lane_whether_it_is_blocked_or_not(gate: Gate) -> None:
    """The lane goes with its last run."""
    gate.enqueue([in_pools(f"run_{number}", link(1)) for number in range(3)])
    assert (picked(gate), picked(gate)) == (["run_0"], [])
    gate.forget("run_1")
    gate.forget("run_2")
    gate.release("run_0", 1)
    assert (gate.waiting("runs"), picked(gate)) == (0, [])
    gate.enqueue([in_pools("run_3", link(1))])
    assert picked(gate) == ["run_3"]
