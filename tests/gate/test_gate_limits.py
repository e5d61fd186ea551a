"""What a run must get before it goes: its tenant's slot, a start token, and room on the workers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import combinations_with_replacement

from gate_stage import GENEROUS, Stage, picked, queued

from celeriac.platform.flow.gate import Gate, TenantLimits

ONE = replace(GENEROUS, running=1)
SLOW = replace(GENEROUS, starts_per_second=20.0, starts_burst=4)
NO_STARTS = replace(GENEROUS, starts_per_second=0.0, starts_burst=0)


def test_no_more_links_run_than_the_tenant_may(gate: Gate) -> None:
    limits = replace(GENEROUS, running=2)
    gate.enqueue([queued(f"run_{number}", limits=limits) for number in range(5)])
    assert (picked(gate), picked(gate)) == (["run_0", "run_1"], [])


def test_the_limit_holds_across_queues(gate: Gate) -> None:
    gate.enqueue([queued("run_1", limits=ONE), queued("run_2", queue="memory", limits=ONE)])
    assert (picked(gate), picked(gate, queue="memory")) == (["run_1"], [])
    gate.release("run_1", 1)
    assert picked(gate, queue="memory") == ["run_2"]


def test_a_tenant_at_its_limit_blocks_nobody_else(gate: Gate) -> None:
    gate.enqueue([queued(f"run_a{number}", limits=ONE) for number in range(3)])
    gate.enqueue([queued("run_b1", "ten_b"), queued("run_b2", "ten_b")])
    assert sorted(picked(gate)) == ["run_a0", "run_b1", "run_b2"]


def test_a_release_lets_the_next_run_go(gate: Gate) -> None:
    gate.enqueue([queued("run_1", limits=ONE), queued("run_2", limits=ONE)])
    assert (picked(gate), picked(gate)) == (["run_1"], [])
    gate.release("run_1", 1)
    assert picked(gate) == ["run_2"]


def test_a_release_frees_exactly_its_own_slot(gate: Gate) -> None:
    gate.enqueue([queued("run_1", fence=4, limits=ONE), queued("run_2", limits=ONE)])
    assert picked(gate) == ["run_1"]
    gate.release("run_1", 3)
    gate.release("run_1", 5)
    gate.release("run_9", 4)
    assert picked(gate) == []


def test_a_second_release_frees_nothing_more(gate: Gate) -> None:
    gate.enqueue([queued(f"run_{number}", limits=ONE) for number in range(3)])
    assert picked(gate) == ["run_0"]
    gate.release("run_0", 1)
    gate.release("run_0", 1)
    assert (picked(gate), picked(gate)) == (["run_1"], [])


def test_a_slot_that_nobody_renews_is_free_after_its_time(stage: Stage) -> None:
    gate = stage.gate(dead_after=0.4)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued("run_1", limits=ONE), queued("run_2", limits=ONE)])
    assert (picked(gate), picked(gate)) == (["run_1"], [])
    stage.let_pass(0.6)
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == ["run_2"]


def test_a_slot_that_is_renewed_stays_taken(stage: Stage) -> None:
    gate = stage.gate(dead_after=0.8)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued("run_1", limits=ONE), queued("run_2", limits=ONE)])
    assert picked(gate) == ["run_1"]
    stage.let_pass(0.7)
    gate.renew([queued("run_1")])
    stage.let_pass(0.6)
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == []


def test_one_slot_expires_while_another_is_renewed(stage: Stage) -> None:
    gate = stage.gate(dead_after=0.8)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued(f"run_{number}", limits=replace(GENEROUS, running=2)) for number in range(4)])
    assert picked(gate) == ["run_0", "run_1"]
    stage.let_pass(0.7)
    gate.renew([queued("run_0")])
    stage.let_pass(0.6)
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == ["run_2"]


def test_new_limits_hold_for_runs_that_wait_already(gate: Gate) -> None:
    gate.enqueue([queued(f"run_{number}", limits=ONE) for number in range(4)])
    assert (picked(gate), picked(gate)) == (["run_0"], [])
    gate.enqueue([queued("run_4", limits=replace(GENEROUS, running=3))])
    assert picked(gate) == ["run_1", "run_2"]


def test_a_full_bucket_gives_its_burst_and_no_more(stage: Stage) -> None:
    gate = _gate_with_full_buckets(stage)
    gate.enqueue([queued(f"run_{number}", limits=SLOW) for number in range(50)])
    assert len(picked(gate)) == 4


def test_no_window_holds_more_starts_than_burst_and_rate_allow(stage: Stage) -> None:
    gate = _gate_with_full_buckets(stage)
    gate.enqueue([queued(f"run_{number}", limits=SLOW) for number in range(90)])
    picks: list[tuple[datetime, int, datetime]] = []
    for _ in range(12):
        before = stage.now()
        picks.append((before, len(picked(gate)), stage.now()))
        stage.let_pass(0.04)
    assert sum(count for _, count, _ in picks) > 4
    for first, last in combinations_with_replacement(range(len(picks)), 2):
        window = (picks[last][2] - picks[first][0]).total_seconds()
        assert sum(count for _, count, _ in picks[first : last + 1]) <= 4 + 20.0 * window + 1e-6


def test_an_empty_bucket_blocks_starts_until_it_is_refilled(stage: Stage) -> None:
    gate = _gate_with_full_buckets(stage)
    gate.enqueue([queued(f"run_{number}", limits=replace(SLOW, starts_burst=1)) for number in range(2)])
    assert picked(gate, 1) == ["run_0"]
    stage.let_pass(0.06)
    assert picked(gate) == ["run_1"]


def test_an_empty_bucket_blocks_neither_resumes_nor_internal_starts(gate: Gate) -> None:
    gate.enqueue([queued("run_1", limits=NO_STARTS)])
    assert picked(gate) == []
    gate.enqueue([queued("run_2", is_internal=True, limits=NO_STARTS)])
    gate.enqueue([queued("run_3", is_resume=True, limits=NO_STARTS)])
    assert picked(gate) == ["run_3", "run_2"]


def test_resumes_and_internal_starts_take_no_token(stage: Stage) -> None:
    gate = _gate_with_full_buckets(stage)
    gate.enqueue([queued(f"run_r{number}", is_resume=True, limits=SLOW) for number in range(5)])
    gate.enqueue([queued(f"run_i{number}", is_internal=True, limits=SLOW) for number in range(5)])
    gate.enqueue([queued(f"run_s{number}", limits=SLOW) for number in range(4)])
    assert len(picked(gate)) == 14


def test_without_a_live_worker_nothing_is_picked(stage: Stage) -> None:
    gate = stage.gate()
    gate.attend("wrk_1", ["memory"], 5)
    gate.enqueue([queued("run_1")])
    assert picked(gate) == []


def test_no_more_is_picked_than_the_workers_have_room_for(stage: Stage) -> None:
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 3)
    gate.attend("wrk_2", ["runs", "memory"], 2)
    gate.enqueue([queued(f"run_{number}") for number in range(20)])
    assert (len(picked(gate)), len(picked(gate))) == (6, 0)
    gate.release("run_0", 1)
    assert picked(gate) == ["run_6"]


def test_a_worker_that_attends_again_replaces_what_it_said(stage: Stage) -> None:
    gate = stage.gate()
    gate.attend("wrk_1", ["runs", "memory"], 100)
    gate.attend("wrk_1", ["runs"], 5)
    gate.enqueue([queued(f"run_{number}") for number in range(20)] + [queued("run_m", queue="memory")])
    assert (len(picked(gate)), picked(gate, queue="memory")) == (6, [])


def test_a_worker_that_leaves_takes_its_room_along(gate: Gate) -> None:
    gate.enqueue([queued("run_1")])
    gate.leave("wrk_1")
    assert picked(gate) == []


def test_a_silent_worker_is_forgotten_after_the_dead_time(stage: Stage) -> None:
    gate = stage.gate(dead_after=0.3)
    gate.attend("wrk_1", ["runs"], 5)
    stage.let_pass(0.3)
    gate.enqueue([queued("run_1")])
    assert picked(gate) == []


def test_the_defaults_let_a_first_run_go(stage: Stage) -> None:
    gate = _gate_with_full_buckets(stage)
    gate.enqueue([queued("run_1", limits=TenantLimits())])
    assert picked(gate) == ["run_1"]


def _gate_with_full_buckets(stage: Stage) -> Gate:
    """A gate that has lived long enough to have filled the buckets of `SLOW`."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 10_000)
    stage.let_pass(0.2)
    return gate


def test_a_link_that_executes_takes_its_slot_anew_when_it_was_lost(stage: Stage) -> None:
    gate = stage.gate(dead_after=0.4)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([queued("run_1", limits=ONE), queued("run_2", limits=ONE)])
    assert picked(gate) == ["run_1"]
    stage.let_pass(0.7)  # the message was long on its way, and the slot of its pick is gone
    gate.started(queued("run_1", limits=ONE))
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == []
    stage.let_pass(0.7)
    gate.renew([queued("run_1", limits=ONE)])
    gate.attend("wrk_1", ["runs"], 10)
    assert picked(gate) == []


def test_a_cancelled_run_frees_its_place_and_its_slot(gate: Gate) -> None:
    gate.enqueue([queued(f"run_{number}", limits=ONE) for number in range(3)])
    assert picked(gate) == ["run_0"]
    gate.forget("run_1")
    gate.forget("run_0")
    assert (picked(gate), gate.waiting("runs")) == (["run_2"], 0)
