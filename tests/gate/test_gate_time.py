"""What takes minutes: priorities against ages, windows of limits, quiet tenants, and runs of which nobody hears."""

from __future__ import annotations

import random
from dataclasses import replace

from gate_stage import GENEROUS, in_pace, in_pools, picked, queued, run_pool

from celeriac.clock import ManualClock
from celeriac.platform.flow.gate import Gate, Queued


def test_a_priority_is_worth_so_many_seconds_of_age(clocked: Gate, clock: ManualClock) -> None:
    """A minute beats one who came 59 seconds before, and not one who came 61."""
    clocked.enqueue([queued("run_old")])
    clock.advance(2)
    clocked.enqueue([queued("run_young")])
    clock.advance(59)
    clocked.enqueue([replace(queued("run_prior"), priority=60)])
    assert picked(clocked) == ["run_old", "run_prior", "run_young"]


def test_no_minute_holds_more_starts_of_a_pace_than_declared(clocked: Gate, clock: ManualClock) -> None:
    """However late the picks come; and none of its starts is lost by ticks in time."""
    clocked.enqueue([in_pace(f"run_{number}", 60, 60, burst=3) for number in range(400)])
    dice, starts, runs, began = random.Random(1), list[float](), list[Queued](), clock.now()
    while (now := (clock.now() - began).total_seconds()) < 240:
        runs = clocked.pick("runs", 9, ended=runs)
        starts += [now for _ in runs]
        clock.advance(dice.choice((0.05, 0.09, 0.1)))
    assert max(sum(at <= other < at + 60 for other in starts) for at in starts) <= 63
    assert len(starts) >= 240


def test_slots_are_open_again_when_others_were_quiet_for_a_minute(clocked: Gate, clock: ManualClock) -> None:
    """Work conserving, then."""
    clocked.enqueue([queued("run_q", "ten_quiet"), *(queued(f"run_{number}", "ten_noisy") for number in range(300))])
    assert len(picked(clocked)) + len(picked(clocked)) == 75
    clock.advance(61)
    assert len(picked(clocked)) == 120 - 75


def test_a_run_that_holds_a_pool_is_asked_about_after_a_minute(clocked: Gate, clock: ManualClock) -> None:
    """The longest silent first; who is confirmed is left alone, also by one who knows of no pool."""
    clocked.enqueue([in_pools(f"run_{number}", run_pool(3)) for number in range(3)])
    assert len(picked(clocked)) == 3
    clock.advance(1)
    clocked.renew([in_pools("run_0", run_pool(3))])
    clock.advance(58)
    assert clocked.unconfirmed(9) == []
    clock.advance(2)
    assert clocked.unconfirmed(2) == ["run_1", "run_2"]
    clocked.hold_runs([queued("run_1"), in_pools("run_2", run_pool(3))])
    assert clocked.unconfirmed(9) == ["run_0"]


def test_tokens_are_refilled_as_declared(clocked: Gate, clock: ManualClock) -> None:
    """Ten a second with a burst of five: five, and two after 200 ms."""
    clock.advance(10)
    limits = replace(GENEROUS, starts_per_second=10.0, starts_burst=5)
    clocked.enqueue([queued(f"run_{number}", limits=limits) for number in range(20)])
    assert (len(picked(clocked)), picked(clocked)) == (5, [])
    clock.advance(0.201)
    assert (len(picked(clocked)), picked(clocked)) == (2, [])
