"""What only the gate in Redis promises: nothing is left behind, a loss is survived, and it says when Redis is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from gate_stage import GENEROUS, RedisStage, in_pace, in_pools, lasting_keys, link, picked, queued, run_pool
from redis.exceptions import RedisError

from celeriac.platform.flow.gate import Gate
from celeriac.platform.store.redis_gate import RedisGate
from services import free_port

TIGHT = replace(GENEROUS, running=2, starts_per_second=1_000.0, starts_burst=10)


def test_when_all_is_released_only_permanent_keys_stay(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    gate.enqueue([queued(f"run_{number}", f"ten_{number % 3}", limits=TIGHT) for number in range(30)])
    gate.enqueue([queued("run_cancelled", "ten_c"), queued("run_7", "ten_1", fence=2, limits=TIGHT)])
    gate.forget("run_cancelled")
    while gate.waiting("runs"):
        for run in gate.pick("runs", 4):
            gate.started(run)
            goes_on = run.fence < 4 and gate.proceed(replace(run, fence=run.fence + 1, is_resume=True))
            gate.release(run.run_id, run.fence + goes_on)
    assert picked(gate) == []
    assert lasting_keys(redis_stage.redis) == []


def test_a_blocked_run_leaves_nothing_either_once_it_is_gone(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    gate.enqueue([queued("run_1", limits=replace(GENEROUS, running=1)), queued("run_2")])
    gate.enqueue([queued("run_2", fence=2, limits=replace(GENEROUS, running=1))])
    assert (picked(gate), picked(gate)) == (["run_1"], [])
    gate.release("run_2", 2)
    gate.release("run_1", 1)
    gate.enqueue([queued("run_3")])
    assert picked(gate) == ["run_3"]
    assert lasting_keys(redis_stage.redis) == []


def test_pools_paces_and_what_waits_for_them_leave_nothing(redis_stage: RedisStage) -> None:
    """Whether their runs end, or are cancelled while they wait."""
    gate = _attended(redis_stage)
    gate.enqueue([in_pools(f"run_{number}", link(1), run_pool(1)) for number in range(4)])
    gate.enqueue([in_pace(f"run_p{number}", 1, 0.05) for number in range(3)])
    first, second = gate.pick("runs", 9)
    assert picked(gate) == []
    for run_id in ("run_1", "run_p1", "run_p2"):
        gate.forget(run_id)
    for run in gate.pick("runs", 9, ended=[replace(run, is_over=True) for run in (first, second)]):
        gate.release(run.run_id, 1)
        gate.settle([run.run_id, "run_3"])
    assert picked(gate) == []
    assert lasting_keys(redis_stage.redis) == []


def test_after_a_loss_buckets_start_empty(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    redis_stage.redis.flushall()
    gate.attend("wrk_1", ["runs"], 100)
    redis_stage.let_pass(0.3)  # the workers tell what executes
    gate.enqueue([queued("run_1", limits=replace(GENEROUS, starts_per_second=0.001, starts_burst=5))])
    assert picked(gate) == []


def test_after_a_loss_a_pace_is_used_up_and_not_full(redis_stage: RedisStage) -> None:
    """Nobody knows what started just before; a worker that lived through it tells."""
    gate = _attended(redis_stage)
    redis_stage.redis.flushall()
    gate.attend("wrk_1", ["runs"], 100)
    redis_stage.let_pass(0.3)  # the workers tell what executes
    began = redis_stage.now()
    gate.enqueue([in_pace(f"run_{number}", 2, 0.4, burst=5) for number in range(9)])
    redis_stage.let_pass(0.4)
    assert 1 <= len(picked(gate)) <= (redis_stage.now() - began).total_seconds() / 0.2 + 1


def test_a_new_gate_holds_no_start_back(redis_stage: RedisStage) -> None:
    """Where nothing was lost, a throttle of one a week lets the first run go."""
    gate = _attended(redis_stage)
    gate.attend("wrk_1", ["runs"], 100)
    gate.enqueue([in_pace("run_1", 1, 7 * 86_400)])
    assert picked(gate) == ["run_1"]


def test_after_a_loss_what_is_enqueued_again_goes(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    gate.enqueue([queued("run_1"), queued("run_2")])
    picked(gate, 1)
    redis_stage.redis.flushall()
    redis_stage.redis.script_flush()
    assert gate.known(["run_1", "run_2"]) == set()
    gate.attend("wrk_1", ["runs"], 100)
    gate.enqueue([queued("run_1"), queued("run_2")])
    redis_stage.let_pass(0.3)
    assert picked(gate) == ["run_1", "run_2"]


def test_a_run_whose_data_was_evicted_holds_up_nobody(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    gate.enqueue([queued("run_1"), queued("run_2")])
    redis_stage.redis.delete("cel:gate:run:run_1", "cel:gate:tenant:ten_a")
    assert (picked(gate), gate.waiting("runs")) == (["run_2"], 0)


def test_installations_with_different_prefixes_share_nothing(redis_stage: RedisStage) -> None:
    ours = _attended(redis_stage)
    theirs = RedisGate(redis_stage.redis, dead_after=timedelta(seconds=10), prefix="other")
    theirs.attend("wrk_1", ["runs"], 100)
    theirs.enqueue([queued("run_1")])
    assert (picked(ours), ours.known(["run_1"]), picked(theirs)) == ([], set(), ["run_1"])


_RUN = queued("run_1")


@pytest.mark.parametrize(
    "call",
    [
        lambda gate: gate.enqueue([_RUN]),
        lambda gate: gate.pick("runs", 1),
        lambda gate: gate.proceed(_RUN),
        lambda gate: gate.started(_RUN),
        lambda gate: gate.renew([_RUN]),
        lambda gate: gate.forget("run_1"),
        lambda gate: gate.settle(["run_1"]),
        lambda gate: gate.release("run_1", 1),
        lambda gate: gate.learn([_RUN]),
        lambda gate: gate.hold_runs([_RUN]),
        lambda gate: gate.unconfirmed(1),
        lambda gate: gate.explain("run_1"),
        lambda gate: gate.known(["run_1"]),
        lambda gate: gate.attend("wrk_1", ["runs"], 1),
        lambda gate: gate.leave("wrk_1"),
        lambda gate: gate.waiting("runs"),
    ],
)
def test_while_redis_is_away_each_method_raises_its_error(call: Callable[[Gate], object]) -> None:
    """Whoever called goes on without the gate."""
    gate = RedisStage(f"redis://127.0.0.1:{free_port()}/0").gate()
    with pytest.raises(RedisError):
        call(gate)


def _attended(stage: RedisStage) -> Gate:
    gate = stage.gate(dead_after=1.0)
    gate.attend("wrk_1", ["runs"], 100)
    return gate
