"""The gate's tests run on both gates: in memory and in Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gate_stage import LocalStage, RedisStage, Stage

from celeriac.platform.flow.gate import Gate


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
