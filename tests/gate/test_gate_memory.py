"""What the gate knows of a run between its enqueue and the end of its link."""

from __future__ import annotations

from dataclasses import replace

from gate_stage import GENEROUS, Stage, picked, queued

from celeriac.platform.flow.gate import Gate

ONE = replace(GENEROUS, running=1)


def test_enqueueing_a_run_twice_is_enqueueing_it_once(gate: Gate) -> None:
    gate.enqueue([queued("run_1"), queued("run_1")])
    gate.enqueue([queued("run_1")])
    assert gate.waiting("runs") == 1
    assert (picked(gate), picked(gate)) == (["run_1"], [])


def test_a_picked_run_is_not_enqueued_again_under_its_fence(gate: Gate) -> None:
    gate.enqueue([queued("run_1")])
    assert picked(gate) == ["run_1"]
    gate.enqueue([queued("run_1")])
    assert (gate.waiting("runs"), picked(gate)) == (0, [])


def test_a_newer_fence_replaces_a_run_that_waits(gate: Gate) -> None:
    gate.enqueue([queued("run_1", fence=1), queued("run_2")])
    gate.enqueue([queued("run_1", fence=2, is_resume=True)])
    gate.enqueue([queued("run_1", fence=1)])
    assert gate.waiting("runs") == 2
    assert [(run.run_id, run.fence) for run in gate.pick("runs", 9)] == [("run_1", 2), ("run_2", 1)]


def test_a_newer_fence_replaces_a_run_that_is_picked(gate: Gate) -> None:
    gate.enqueue([queued("run_1", fence=1)])
    assert picked(gate) == ["run_1"]
    gate.enqueue([queued("run_1", fence=2)])
    gate.started(queued("run_1", fence=1))
    gate.release("run_1", 1)
    assert [run.fence for run in gate.pick("runs", 9)] == [2]


def test_runs_are_known_from_their_enqueue_until_they_start(gate: Gate) -> None:
    gate.enqueue([queued("run_1"), queued("run_2"), queued("run_3")])
    picked(gate, 2)
    gate.started(queued("run_1", fence=1))
    assert gate.known(["run_1", "run_2", "run_3", "run_4"]) == {"run_2", "run_3"}


def test_a_pick_that_came_to_nothing_is_known_until_its_deadline(stage: Stage) -> None:
    gate = stage.gate(dead_after=1.0)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued("run_1", limits=ONE)])
    assert picked(gate) == ["run_1"]
    assert gate.known(["run_1"]) == {"run_1"}
    stage.let_pass(0.5)
    assert gate.known(["run_1"]) == set()


def test_a_pick_that_came_to_nothing_goes_again_in_its_own_slot(stage: Stage) -> None:
    gate = stage.gate(dead_after=1.0)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued("run_1", limits=ONE)])
    assert picked(gate) == ["run_1"]
    stage.let_pass(0.5)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued("run_1", limits=ONE)])
    assert picked(gate) == ["run_1"]


def test_starting_keeps_the_slot(gate: Gate) -> None:
    gate.enqueue([queued("run_1", limits=ONE), queued("run_2", limits=ONE)])
    picked(gate)
    gate.started(queued("run_1", fence=1, limits=ONE))
    assert picked(gate) == []


def test_a_run_claimed_by_an_old_message_leaves_its_lane(gate: Gate) -> None:
    gate.enqueue([queued("run_1", fence=3)])
    gate.started(queued("run_1", fence=3))
    assert (gate.waiting("runs"), gate.known(["run_1"]), picked(gate)) == (0, set(), [])


def test_waiting_counts_blocked_runs_too(gate: Gate) -> None:
    gate.enqueue([queued(f"run_{number}", limits=ONE) for number in range(4)])
    picked(gate)
    assert gate.waiting("runs") == 3


def test_a_link_proceeds_at_once_when_nobody_waits(gate: Gate) -> None:
    _start(gate, "run_1")
    assert gate.proceed(queued("run_1", fence=2, is_resume=True, limits=ONE)) is True
    assert (gate.waiting("runs"), gate.known(["run_1"])) == (0, {"run_1"})


def test_a_link_that_proceeds_passes_its_slot_on(gate: Gate) -> None:
    _start(gate, "run_1")
    gate.proceed(queued("run_1", fence=2, is_resume=True, limits=ONE))
    gate.release("run_1", 1)
    gate.enqueue([queued("run_2", limits=ONE)])
    assert picked(gate) == []
    gate.release("run_1", 2)
    assert picked(gate) == ["run_2"]


def test_a_link_goes_back_to_its_lane_when_another_tenant_waits(gate: Gate) -> None:
    _start(gate, "run_1")
    gate.enqueue([queued("run_2", "ten_b")])
    assert gate.proceed(queued("run_1", fence=2, is_resume=True, limits=ONE)) is False
    assert sorted(picked(gate)) == ["run_1", "run_2"]


def test_a_link_goes_back_behind_the_resumes_of_its_own_tenant(gate: Gate) -> None:
    _start(gate, "run_1")
    gate.enqueue([queued("run_2", is_resume=True, limits=ONE)])
    assert picked(gate) == []
    assert gate.proceed(queued("run_1", fence=2, is_resume=True, limits=ONE)) is False
    assert (picked(gate), picked(gate)) == (["run_2"], [])


def test_a_run_that_cannot_use_the_slot_stops_no_link(gate: Gate) -> None:
    _start(gate, "run_1")
    gate.enqueue([queued("run_2", "ten_b", limits=replace(GENEROUS, starts_per_second=0.0, starts_burst=0))])
    assert picked(gate) == []
    assert gate.proceed(queued("run_1", fence=2, is_resume=True, limits=ONE)) is True


def test_a_link_above_a_lowered_limit_goes_back_to_its_lane(gate: Gate) -> None:
    gate.enqueue([queued("run_1"), queued("run_2")])
    picked(gate)
    assert gate.proceed(queued("run_1", fence=2, is_resume=True, limits=ONE)) is False
    assert picked(gate) == []


def test_asking_twice_to_proceed_gives_the_same_answer(gate: Gate) -> None:
    _start(gate, "run_1")
    _start(gate, "run_2", "ten_b")
    goes_on = queued("run_1", fence=2, is_resume=True, limits=ONE)
    assert (gate.proceed(goes_on), gate.proceed(goes_on)) == (True, True)
    gate.started(queued("run_1", fence=2))
    assert gate.proceed(goes_on) is True
    gate.enqueue([queued("run_3", "ten_c")])
    goes_back = queued("run_2", "ten_b", fence=2, is_resume=True, limits=ONE)
    assert (gate.proceed(goes_back), gate.proceed(goes_back)) == (False, False)
    assert gate.waiting("runs") == 2


def _start(gate: Gate, run_id: str, tenant_id: str = "ten_a") -> None:
    gate.enqueue([queued(run_id, tenant_id, limits=ONE)])
    assert picked(gate) == [run_id]
    gate.started(queued(run_id, tenant_id))
