"""Why a queued run is not picked now, as the dashboard and the API tell it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from gate_stage import GENEROUS, Stage, in_pools, link, picked, queued

from celeriac.platform.flow.gate import Gate, Holdup

ONE = replace(GENEROUS, running=1)


def test_a_run_that_does_not_stand_in_a_lane_has_no_holdup(gate: Gate) -> None:
    """It is on its way, or unknown."""
    gate.enqueue([queued("run_1")])
    picked(gate)
    assert (gate.explain("run_1"), gate.explain("run_2")) == (None, None)


def test_a_run_that_could_go_waits_for_its_turn(gate: Gate) -> None:
    """Nothing else stands in its way."""
    gate.enqueue([queued("run_1")])
    assert gate.explain("run_1") == Holdup(reason="turn")


def test_a_run_whose_tenant_runs_all_it_may_says_so(gate: Gate) -> None:
    """No time is promised: a link has to end."""
    gate.enqueue([queued("run_1", limits=ONE), queued("run_2", limits=ONE)])
    picked(gate)
    assert gate.explain("run_2") == Holdup(reason="running")


def test_a_run_whose_pool_is_full_names_it(gate: Gate) -> None:
    """The first of its pools that is."""
    gate.enqueue([in_pools("run_1", link(1, "b")), in_pools("run_2", link(1, "a"), link(1, "b"))])
    picked(gate)
    assert gate.explain("run_2") == Holdup(reason="pool", name="b")


def test_a_run_without_workers_lacks_room(stage: Stage) -> None:
    """As with workers that are full."""
    gate = stage.gate()
    gate.enqueue([queued("run_1")])
    assert gate.explain("run_1") == Holdup(reason="room")


def test_a_start_without_a_token_says_when_there_will_be_one(stage: Stage) -> None:
    """For the second in the lane that is a token later."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 10)
    slow = replace(GENEROUS, starts_per_second=0.1, starts_burst=1)
    stage.let_pass(0.01)
    gate.enqueue([queued(f"run_{number}", limits=slow) for number in range(4)])
    picked(gate)
    first, second = gate.explain("run_2"), gate.explain("run_3")
    assert first and second and first.until and second.until
    assert (first.reason, second.until - first.until) == ("starts", pytest.approx(timedelta(seconds=10), abs=_A_BIT))


def test_a_noisy_tenant_is_told_that_slots_are_closed_to_it(stage: Stage) -> None:
    """While another one is active."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 8)
    gate.enqueue([queued("run_q", "ten_quiet")] + [queued(f"run_{number}") for number in range(9)])
    assert len(picked(gate)) + len(picked(gate)) < 9
    assert gate.explain("run_8") == Holdup(reason="noisy")


_A_BIT = timedelta(milliseconds=200)
