"""Paces: throttled starts, with a `retry_at` that proves true."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gate_stage import Stage, in_pace, picked, queued

from celeriac.platform.flow.gate import Gate


def attended(stage: Stage) -> Gate:
    """A gate with a worker that lives long."""
    gate = stage.gate(dead_after=600)
    gate.attend("wrk_1", ["runs"], 1_000)
    return gate


def test_one_start_goes_at_once_and_the_next_after_its_share_of_the_time(stage: Stage) -> None:
    """Five in a second are one each 200 ms."""
    gate = attended(stage)
    gate.enqueue([in_pace(f"run_{number}", 5, 1.0) for number in range(3)])
    assert (picked(gate), picked(gate)) == (["run_0"], [])
    stage.let_pass(0.2)
    assert (picked(gate), picked(gate)) == (["run_1"], [])


def test_a_burst_goes_at_once(stage: Stage) -> None:
    """And is not there again before it was saved up."""
    gate = attended(stage)
    gate.enqueue([in_pace(f"run_{number}", 5, 1.0, burst=3) for number in range(9)])
    assert (len(picked(gate)), picked(gate)) == (3, [])
    stage.let_pass(0.2)
    assert len(picked(gate)) == 1


def test_a_pace_holds_up_no_resume(gate: Gate) -> None:
    """It is about starts."""
    gate.enqueue([in_pace(f"run_{number}", 1, 3_600) for number in range(2)])
    assert (picked(gate), picked(gate)) == (["run_0"], [])
    gate.enqueue([replace(in_pace("run_0", 1, 3_600), fence=2, is_resume=True)])
    assert picked(gate) == ["run_0"]


def test_two_lanes_share_a_pace(gate: Gate) -> None:
    """On two queues the pace is one."""
    gate.enqueue([in_pace("run_1", 1, 3_600), replace(in_pace("run_2", 1, 3_600), queue="memory")])
    assert (picked(gate), picked(gate, queue="memory")) == (["run_1"], [])


def test_a_pick_that_came_to_nothing_pays_once(stage: Stage) -> None:
    """The run goes again in the slot that it has, without a new turn in the pace."""
    gate = stage.gate(dead_after=0.6)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pace("run_1", 1, 3_600)])
    assert picked(gate) == ["run_1"]
    stage.let_pass(0.3)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pace("run_1", 1, 3_600)])
    assert picked(gate) == ["run_1"]


def test_a_start_goes_when_the_gate_has_said_and_not_before(stage: Stage) -> None:
    """The time that `explain` gives."""
    gate = attended(stage)
    gate.enqueue([in_pace(f"run_{number}", 10, 1.0) for number in range(3)])
    assert picked(gate) == ["run_0"]
    holdup = gate.explain("run_2")
    assert holdup is not None and holdup.reason == "pace" and holdup.name == "pace" and holdup.until is not None
    stage.let_pass((holdup.until - stage.now() - timedelta(milliseconds=50)).total_seconds())
    assert "run_2" not in picked(gate) + picked(gate)
    stage.let_pass((holdup.until - stage.now()).total_seconds())
    assert "run_2" in picked(gate) + picked(gate)


def test_a_lane_without_a_pace_goes_beside_one_that_waits(gate: Gate) -> None:
    """Of the same function, even."""
    gate.enqueue([in_pace(f"run_{number}", 1, 3_600) for number in range(2)])
    gate.enqueue([replace(queued("run_free"), function="app/f")])
    assert sorted(picked(gate)) == ["run_0", "run_free"]


def test_picks_that_come_late_lose_nothing_of_a_fast_pace(stage: Stage) -> None:
    """What waited when its time came goes at the next tick, so a hundred a second stay a hundred."""
    gate = attended(stage)
    gate.enqueue([in_pace(f"run_{number:03}", 100, 1.0) for number in range(90)])
    began = stage.now()
    assert len(picked(gate)) == 1
    stage.let_pass(0.08)
    many = len(picked(gate))
    assert 8 <= many <= (stage.now() - began).total_seconds() * 100 + 1


def test_what_comes_to_an_idle_pace_has_saved_up_nothing(stage: Stage) -> None:
    """One goes, however long nobody came."""
    gate = attended(stage)
    gate.enqueue([in_pace("run_first", 10, 1.0)])
    assert picked(gate) == ["run_first"]
    stage.let_pass(0.3)
    gate.enqueue([in_pace(f"run_{number}", 10, 1.0) for number in range(9)])
    assert picked(gate) == ["run_0"]
