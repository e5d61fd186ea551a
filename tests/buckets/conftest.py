"""The buckets' tests run on both kinds: in memory and in Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from celeriac.clock import ManualClock
from celeriac.platform.flow.buckets import Buckets
from celeriac.platform.store.local_buckets import LocalBuckets
from celeriac.platform.store.redis_buckets import RedisBuckets


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of an empty Redis."""
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture(params=["local", "redis"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    """Buckets; the test runs once on each kind."""
    if request.param == "local":
        return LocalBuckets(ManualClock())
    return RedisBuckets(request.getfixturevalue("redis"))


@pytest.fixture
def clock() -> ManualClock:
    """The time of `clocked`."""
    return ManualClock()


@pytest.fixture(params=["local", "redis"])
def clocked(request: pytest.FixtureRequest, clock: ManualClock) -> Buckets:
    """Buckets of each kind whose time is moved by hand."""
    if request.param == "local":
        return LocalBuckets(clock)
    return RedisBuckets(request.getfixturevalue("redis"), clock=clock)
