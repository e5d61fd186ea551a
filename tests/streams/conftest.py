"""The tests of streams run on both of them: in memory and in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from celeriac.platform.store.local_stream import LocalStream
from celeriac.platform.store.redis_connection import connect
from celeriac.platform.store.redis_stream import RedisStream
from celeriac.platform.streams.stream import Stream

TTL = timedelta(minutes=5)


@pytest.fixture(params=["local", "redis"])
def stream(request: pytest.FixtureRequest) -> Iterator[Stream]:
    """A stream of each kind in turn."""
    if request.param == "local":
        yield LocalStream()
    else:
        yield request.getfixturevalue("redis_stream")


@pytest.fixture
def redis_stream(redis_url: str) -> Iterator[RedisStream]:
    """Only the one in Redis."""
    with connect(redis_url) as client:
        yield RedisStream(client, ttl=TTL)


@pytest.fixture(params=["local", "redis"])
def short_stream(request: pytest.FixtureRequest) -> Iterator[Stream]:
    """A stream of each kind that keeps five chunks."""
    yield from _bounded(request, cap=5)


@pytest.fixture(params=["local", "redis"])
def small_stream(request: pytest.FixtureRequest) -> Iterator[Stream]:
    """A stream of each kind that keeps a thousand bytes."""
    yield from _bounded(request, cap_bytes=1_000)


def _bounded(request: pytest.FixtureRequest, **bound: int) -> Iterator[Stream]:
    if request.param == "local":
        yield LocalStream(**bound)
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisStream(client, ttl=TTL, **bound)
