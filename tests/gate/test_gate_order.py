"""Whose run goes next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from gate_stage import Stage, picked, queued

from celeriac.platform.flow.gate import Gate, TenantLimits


def test_a_picked_run_comes_back_exactly_as_it_was_enqueued(gate: Gate) -> None:
    run = queued("run_ä", fence=7, is_internal=True, limits=TenantLimits(running=3, starts_per_second=0.5))
    gate.enqueue([run])
    assert gate.pick("runs", 10) == [run]


def test_tenants_are_picked_in_turn(gate: Gate) -> None:
    gate.enqueue([queued(f"run_{tenant}{number}", f"ten_{tenant}") for tenant in "abc" for number in (1, 2)])
    assert picked(gate) == ["run_a1", "run_b1", "run_c1", "run_a2", "run_b2", "run_c2"]


def test_the_turn_goes_on_from_one_pick_to_the_next(gate: Gate) -> None:
    gate.enqueue([queued(f"run_{tenant}{number}", f"ten_{tenant}") for tenant in "ab" for number in (1, 2, 3)])
    assert [picked(gate, 1) for _ in range(4)] == [["run_a1"], ["run_b1"], ["run_a2"], ["run_b2"]]


def test_a_tenant_with_one_run_at_a_time_is_not_overtaken_for_ever(gate: Gate) -> None:
    gate.enqueue([queued("run_z1", "ten_z"), queued("run_z2", "ten_z")])
    order = []
    for number in range(3):
        gate.enqueue([queued(f"run_a{number}", "ten_a")])
        order += picked(gate, 1)
    assert order == ["run_a0", "run_z1", "run_a1"]


def test_a_tenant_that_joins_late_gets_no_more_turns_than_the_others(gate: Gate) -> None:
    gate.enqueue([queued(f"run_a{number:02}", "ten_a") for number in range(20)])
    picked(gate, 10)
    gate.enqueue([queued(f"run_b{number}", "ten_b") for number in range(9)])
    tenants = [run.tenant_id for run in gate.pick("runs", 6)]
    assert tenants.count("ten_a") == 3


def test_a_noisy_tenant_with_5000_runs_leaves_a_quiet_one_undelayed(gate: Gate) -> None:
    gate.enqueue([queued(f"run_n{number}", "ten_a") for number in range(5_000)])
    assert len(picked(gate, 20)) == 20
    gate.enqueue([queued("run_quiet", "ten_quiet")])
    assert "run_quiet" in picked(gate, 2)


def test_resumes_go_first_then_internal_starts_then_starts(gate: Gate) -> None:
    gate.enqueue([queued("run_1"), queued("run_2", is_internal=True), queued("run_3", is_resume=True)])
    gate.enqueue([queued("run_4"), queued("run_5", is_resume=True)])
    assert picked(gate) == ["run_3", "run_5", "run_2", "run_1", "run_4"]


def test_queues_do_not_mix(gate: Gate) -> None:
    gate.enqueue([queued("run_1", queue="memory"), queued("run_2")])
    assert (picked(gate), gate.waiting("runs"), gate.waiting("memory")) == (["run_2"], 0, 1)


def test_two_pickers_at_once_never_pick_the_same_run(stage: Stage) -> None:
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 2_000)
    gate.enqueue([queued(f"run_{number}", f"ten_{number % 7}") for number in range(1_000)])
    with ThreadPoolExecutor(2) as pickers:
        shares = list(pickers.map(lambda _: picked(gate, 9), range(120)))
    runs = list(chain.from_iterable(shares))
    assert (len(runs), len(set(runs))) == (1_000, 1_000)


def test_one_call_frees_a_slot_takes_in_what_arrives_and_picks(gate: Gate) -> None:
    alone = TenantLimits(running=1, starts_per_second=1e9)
    gate.enqueue([queued("run_1", limits=alone)])
    [first] = gate.pick("runs", 10)
    assert gate.pick("runs", 10, arriving=[queued("run_2", limits=alone)]) == []
    [second] = gate.pick("runs", 10, ended=[first], arriving=[queued("run_3", limits=alone)])
    assert second.run_id == "run_2"
    assert gate.waiting("runs") == 1


def test_more_runs_arrive_than_one_call_takes(gate: Gate) -> None:
    arriving = [queued(f"run_{number:04}") for number in range(1_203)]
    first = gate.pick("runs", 100, arriving=arriving)
    assert [run.run_id for run in first] == [f"run_{number:04}" for number in range(100)]
    assert gate.waiting("runs") == 1_103
