"""Messages that are so long on their way that others have what the pick took, and runs whose pick came to nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gate_stage import GENEROUS, RedisStage, Stage, in_pace, in_pools, link, picked, queued, run_pool

from celeriac.platform.flow.gate import Gate, Queued

ONE = replace(GENEROUS, running=1)
DEAD = 0.3


def forgotten(stage: Stage, run: Queued) -> Gate:
    """A gate that picked the run, and at which the slots of that pick have ended by time."""
    gate = stage.gate(dead_after=DEAD)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([run])
    assert picked(gate) == [run.run_id]
    stage.let_pass(1.5 * DEAD)
    gate.attend("wrk_1", ["runs"], 10)
    return gate


def test_a_late_message_may_not_execute_where_others_have_its_pool(stage: Stage) -> None:
    late = in_pools("run_late", link(1))
    gate = forgotten(stage, late)
    gate.enqueue([in_pools("run_2", link(1))])
    assert picked(gate) == ["run_2"]
    assert not gate.started(late)
    assert gate.started(in_pools("run_2", link(1)))
    gate.enqueue([replace(late, fence=2)])
    assert picked(gate) == []
    gate.release("run_2", 1)
    assert picked(gate) == ["run_late"]


def test_a_late_message_may_not_execute_above_its_tenants_links(stage: Stage) -> None:
    gate = forgotten(stage, queued("run_late", limits=ONE))
    gate.enqueue([queued("run_2", limits=ONE), queued("run_3", "ten_b", limits=ONE)])
    assert sorted(picked(gate)) == ["run_2", "run_3"]
    assert not gate.started(queued("run_late", limits=ONE))


def test_a_late_message_takes_its_slots_anew_where_they_are_free(stage: Stage) -> None:
    """And holds them then; it has paid for its turn in its pace."""
    late = replace(in_pace("run_late", 1, 3600.0), pools=(link(1),))
    gate = forgotten(stage, late)
    assert gate.started(late)
    gate.enqueue([in_pools("run_2", link(1))])
    assert picked(gate) == []


def test_a_start_that_is_refused_holds_nothing(stage: Stage) -> None:
    """Not even the pool for its whole run, which its pick took."""
    late = in_pools("run_late", run_pool(1), link(1))
    gate = forgotten(stage, late)
    gate.enqueue([in_pools("run_2", link(1))])
    assert picked(gate) == ["run_2"]
    gate.enqueue([in_pools("run_3", run_pool(1))])
    assert picked(gate) == []
    assert not gate.started(late)
    assert picked(gate) == ["run_3"]


def test_a_resume_that_is_refused_keeps_what_its_run_holds(stage: Stage) -> None:
    late = replace(in_pools("run_late", run_pool(1), link(1)), is_resume=True)
    gate = forgotten(stage, late)
    gate.enqueue([in_pools("run_2", link(1))])
    assert picked(gate) == ["run_2"]
    assert not gate.started(late)
    gate.enqueue([in_pools("run_3", run_pool(1))])
    assert picked(gate) == []


def test_a_run_whose_pick_came_to_nothing_goes_before_those_who_wait_for_what_it_holds(stage: Stage) -> None:
    """They may be older, or have a priority: behind them it would wait for itself."""
    gate = stage.gate(dead_after=1.0)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pools("run_lost", run_pool(1))])
    assert picked(gate) == ["run_lost"]
    gate.enqueue([replace(in_pools("run_2", run_pool(1)), priority=100)])
    assert picked(gate) == []
    stage.let_pass(0.5)
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pools("run_lost", run_pool(1))])
    assert (picked(gate), picked(gate)) == (["run_lost"], [])


def test_runs_go_by_the_age_that_they_have_in_the_truth(gate: Gate, stage: Stage) -> None:
    """In whatever order they come: what is rebuilt is as it was."""
    began = stage.now() - timedelta(hours=1)
    for number in (3, 1, 2, 0):
        gate.enqueue([replace(queued(f"run_{number}"), queued_at=began + timedelta(microseconds=number))])
    gate.enqueue([queued("run_new")])
    assert picked(gate) == ["run_0", "run_1", "run_2", "run_3", "run_new"]


def test_an_age_ahead_of_the_gates_clock_slows_no_pace_down(stage: Stage) -> None:
    """The database's clock may be another one."""
    gate = stage.gate(dead_after=600)
    gate.attend("wrk_1", ["runs"], 10)
    ahead = stage.now() + timedelta(hours=1)
    gate.enqueue([replace(in_pace(f"run_{number}", 10, 1.0), queued_at=ahead) for number in range(2)])
    assert len(picked(gate)) == 1
    stage.let_pass(0.1)
    assert len(picked(gate)) == 1


def test_nothing_is_picked_after_a_loss_until_the_workers_have_told_what_executes(redis_stage: RedisStage) -> None:
    gate = redis_stage.gate(dead_after=1.0)
    gate.attend("wrk_1", ["runs"], 10)
    redis_stage.redis.flushdb()
    gate.attend("wrk_1", ["runs"], 10)
    gate.enqueue([in_pools("run_2", link(1))])
    assert picked(gate) == []
    gate.renew([in_pools("run_1", link(1))])
    redis_stage.let_pass(0.3)
    assert picked(gate) == []
    gate.release("run_1", 1)
    assert picked(gate) == ["run_2"]
