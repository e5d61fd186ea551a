"""Headroom: about a quarter of the slots is closed to noisy tenants while runs of quiet ones come."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import pytest
from gate_stage import GENEROUS, Stage, in_pools, link, picked, queued

from celeriac.platform.flow.gate import Gate


def worker_with(stage: Stage, slots: int) -> Gate:
    """A gate with one worker."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], slots)
    return gate


def burst(gate: Gate, many: int = 400, tenant: str = "ten_noisy") -> int:
    """Let a tenant post many runs; return how many of them go."""
    gate.enqueue([queued(f"{tenant}_{number}", tenant) for number in range(many)])
    return len(picked(gate)) + len(picked(gate))


def visit(gate: Gate, tenant: str = "ten_quiet") -> None:
    """Let a tenant have one run that ends."""
    gate.enqueue([queued(f"run_{tenant}", tenant)])
    for run in gate.pick("runs", 1):
        gate.release(run.run_id, run.fence)


def test_a_tenant_that_is_alone_gets_all_slots(stage: Stage) -> None:
    """All that the workers have room for."""
    assert burst(worker_with(stage, 100)) == 120


def test_a_quarter_is_closed_to_a_noisy_tenant_while_a_quiet_one_is_seen(stage: Stage) -> None:
    """And the other one gets it."""
    gate = worker_with(stage, 100)
    visit(gate)
    assert burst(gate) == 75
    gate.enqueue([queued(f"run_q{number}", "ten_quiet") for number in range(5)])
    assert picked(gate) == [f"run_q{number}" for number in range(5)]


def test_five_seconds_after_the_last_quiet_run_a_noisy_tenant_gets_all_slots(stage: Stage) -> None:
    """Nobody else is there, so nothing is left idle."""
    gate = worker_with(stage, 100)
    visit(gate)
    assert burst(gate) == 75
    stage.let_pass(5.01)
    assert len(picked(gate)) == 45


def test_noisy_tenants_get_all_slots_where_no_quiet_one_is(stage: Stage) -> None:
    """Headroom is for those who may use it."""
    gate = worker_with(stage, 100)
    for tenant in ("ten_a", "ten_b", "ten_c"):
        gate.enqueue([queued(f"{tenant}_{number}", tenant) for number in range(50)])
    assert len(picked(gate)) + len(picked(gate)) == 120


def test_in_a_small_fleet_who_has_runs_waiting_is_noisy(stage: Stage) -> None:
    """Two of eight slots stay open for others, who may take more than one."""
    gate = worker_with(stage, 8)
    visit(gate)
    assert burst(gate) == 6
    gate.enqueue([queued(f"run_q{number}", "ten_quiet") for number in range(3)])
    assert len(picked(gate)) == 3


def test_a_noisy_tenant_gets_less_where_the_quiet_use_much(stage: Stage) -> None:
    """The two slots stay open beside the three that they have."""
    gate = worker_with(stage, 8)
    for number in range(3):
        gate.enqueue([queued(f"run_q{number}", f"ten_{number}")])
    assert len(picked(gate)) == 3
    assert burst(gate) == 3


def test_who_has_less_than_thirty_in_flight_is_not_noisy(stage: Stage) -> None:
    """Of a hundred slots that others fill."""
    gate = worker_with(stage, 100)
    for number in range(4):
        assert burst(gate, 22, f"ten_{number}") == 22
    assert burst(gate, 20, "ten_last") == 20


def test_a_noisy_tenant_keeps_its_turn_for_the_slots_that_are_open_to_it(stage: Stage) -> None:
    """Once others give theirs back."""
    gate = worker_with(stage, 8)
    visit(gate)
    assert burst(gate) == 6
    gate.release("ten_noisy_0", 1)
    assert picked(gate) == ["ten_noisy_6"]


def test_a_noisy_link_gives_its_slot_back_where_more_than_the_open_ones_are_taken(stage: Stage) -> None:
    """It took them while it was alone."""
    gate = worker_with(stage, 8)
    gate.enqueue([queued(f"run_{number}", "ten_noisy") for number in range(8)])
    runs = gate.pick("runs", 99)
    visit(gate)
    later = [replace(run, fence=2, is_resume=True) for run in runs]
    assert gate.proceed(later[0]) is False


def test_noisy_tenants_are_looked_at_behind_one_another(stage: Stage) -> None:
    """Two of them stand at the front of the ring, and the quiet one goes."""
    gate = worker_with(stage, 100)
    assert burst(gate, 70, "ten_a") == 70
    visit(gate)
    assert burst(gate, 70, "ten_b") == 30
    gate.enqueue([queued(f"run_q{number}", "ten_quiet") for number in range(3)])
    assert sorted(picked(gate)) == ["run_q0", "run_q1", "run_q2"]


def test_a_noisy_tenant_waits_whatever_lane_it_uses(stage: Stage) -> None:
    """Fifty keys are one tenant."""
    gate = worker_with(stage, 8)
    visit(gate)
    gate.enqueue([in_pools(f"run_{number}", link(9, f"key_{number}"), tenant_id="ten_noisy") for number in range(50)])
    assert len(picked(gate)) + len(picked(gate)) == 6


def test_weights_hold_although_the_heavy_tenant_is_noisy(stage: Stage) -> None:
    """Of eight slots it has more than half, as it should, and loses no turn to the others for it."""
    gate = worker_with(stage, 8)
    for tenant, weight in (("ten_1", 1.0), ("ten_2", 2.0), ("ten_4", 4.0)):
        limits = replace(GENEROUS, weight=weight)
        gate.enqueue([queued(f"{tenant}_{number}", tenant, limits=limits) for number in range(150)])
    flying, shares = deque(gate.pick("runs", 99)), Counter[str]()
    for _ in range(210):
        shares[flying[0].tenant_id] += 1
        flying += gate.pick("runs", 99, ended=[flying.popleft()])
    assert shares == pytest.approx({"ten_1": 30, "ten_2": 60, "ten_4": 120}, rel=0.05)
