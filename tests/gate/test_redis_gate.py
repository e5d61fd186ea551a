"""What only the gate in Redis promises: nothing is left behind, a loss is survived, and it says when Redis is away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatch

import pytest
from gate_stage import GENEROUS, RedisStage, picked, queued
from redis import Redis
from redis.exceptions import RedisError

from celeriac.platform.flow.gate import Gate
from celeriac.platform.store.redis_gate import PERMANENT_KEYS, RedisGate
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
    assert _lasting_keys(redis_stage.redis) == []


def test_a_blocked_run_leaves_nothing_either_once_it_is_gone(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    gate.enqueue([queued("run_1", limits=replace(GENEROUS, running=1)), queued("run_2")])
    gate.enqueue([queued("run_2", fence=2, limits=replace(GENEROUS, running=1))])
    assert (picked(gate), picked(gate)) == (["run_1"], [])
    gate.release("run_2", 2)
    gate.release("run_1", 1)
    gate.enqueue([queued("run_3")])
    assert picked(gate) == ["run_3"]
    assert _lasting_keys(redis_stage.redis) == []


def test_after_a_loss_buckets_start_empty(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    redis_stage.redis.flushall()
    gate.attend("wrk_1", ["runs"], 100)
    gate.enqueue([queued("run_1", limits=replace(GENEROUS, starts_per_second=0.001, starts_burst=5))])
    assert picked(gate) == []


def test_after_a_loss_what_is_enqueued_again_goes(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    gate.enqueue([queued("run_1"), queued("run_2")])
    picked(gate, 1)
    redis_stage.redis.flushall()
    redis_stage.redis.script_flush()
    assert gate.known(["run_1", "run_2"]) == set()
    gate.attend("wrk_1", ["runs"], 100)
    gate.enqueue([queued("run_1"), queued("run_2")])
    assert picked(gate) == ["run_1", "run_2"]


def test_a_run_whose_data_was_evicted_holds_up_nobody(redis_stage: RedisStage) -> None:
    gate = _attended(redis_stage)
    gate.enqueue([queued("run_1"), queued("run_2")])
    redis_stage.redis.delete("cel:gate:run:run_1", "cel:gate:limits:ten_a")
    assert (picked(gate), gate.waiting("runs")) == (["run_2"], 0)


def test_installations_with_different_prefixes_share_nothing(redis_stage: RedisStage) -> None:
    ours = _attended(redis_stage)
    theirs = RedisGate(redis_stage.redis, dead_after=timedelta(seconds=10), prefix="other")
    theirs.attend("wrk_1", ["runs"], 100)
    theirs.enqueue([queued("run_1")])
    assert (picked(ours), ours.known(["run_1"]), picked(theirs)) == ([], set(), ["run_1"])


def test_while_redis_is_away_each_method_raises_its_error() -> None:
    gate = RedisStage(f"redis://127.0.0.1:{free_port()}/0").gate()
    calls = [
        lambda: gate.enqueue([queued("run_1")]),
        lambda: gate.pick("runs", 1),
        lambda: gate.proceed(queued("run_1")),
        lambda: gate.started(queued("run_1", fence=1)),
        lambda: gate.renew([queued("run_1")]),
        lambda: gate.release("run_1", 1),
        lambda: gate.known(["run_1"]),
        lambda: gate.attend("wrk_1", ["runs"], 1),
        lambda: gate.leave("wrk_1"),
        lambda: gate.waiting("runs"),
        lambda: gate.forget("run_1"),
    ]
    for call in calls:
        with pytest.raises(RedisError):
            call()


def _attended(stage: RedisStage) -> Gate:
    gate = stage.gate()
    gate.attend("wrk_1", ["runs"], 100)
    return gate


def _lasting_keys(redis: Redis) -> list[str]:
    lasting = [key for key in redis.scan_iter() if redis.ttl(key) == -1]
    return [key for key in lasting if not any(fnmatch(key, f"cel:{pattern}") for pattern in PERMANENT_KEYS)]
