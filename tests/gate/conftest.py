"""The gate's tests run on both gates: in memory and in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from gate_stage import LocalStage, RedisStage, Stage

from celeriac.clock import ManualClock
from celeriac.platform.flow.gate import Gate
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.redis_gate import RedisGate


@pytest.fixture(params=["local", "redis"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A place to make gates in; the test runs once on each kind."""
    if request.param == "local":
        yield LocalStage()
    else:
        yield request.getfixturevalue("redis_stage")


@pytest.fixture
def redis_stage(redis_url: str) -> Iterator[RedisStage]:
    """Only the gate in Redis."""
    stage = RedisStage(redis_url)
    yield stage
    stage.redis.close()


@pytest.fixture
def gate(stage: Stage) -> Gate:
    """A gate with one large worker on the queues `runs` and `memory`."""
    gate = stage.gate()
    gate.attend("wrk_1", ["runs", "memory"], 50_000)
    return gate


@pytest.fixture
def clock() -> ManualClock:
    """The time of `clocked`."""
    return ManualClock()


@pytest.fixture(params=["local", "redis"])
def clocked(request: pytest.FixtureRequest, clock: ManualClock) -> Gate:
    """A gate of each kind whose time is moved by hand; a worker with a hundred slots lives all the time."""
    dead_after = timedelta(hours=2)
    if request.param == "local":
        gate: Gate = LocalGate(clock, dead_after=dead_after)
    else:
        redis = request.getfixturevalue("redis_stage").redis
        gate = RedisGate(redis, dead_after=dead_after, clock=clock)
    gate.attend("wrk_1", ["runs"], 100)
    clock.advance(1)  # a bucket in Redis is empty when the gate begins
    return gate
