"""The parts that all tests lean on: each fixture gives a clean, real part, and waiting has a deadline."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import redis

from services import fresh_database, redis_executable
from waiting import until, wait_until


@pytest.fixture(params=["first", "second"])
def a_used_redis(redis_url: str, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A Redis that each of two tests leaves dirty."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def test_a_test_finds_redis_empty(a_used_redis: redis.Redis) -> None:
    """Whatever the test before left there."""
    assert a_used_redis.dbsize() == 0
    a_used_redis.set("left", "behind")


def test_a_fresh_database_is_gone_afterwards(postgres_server: str) -> None:
    """Also when somebody is still connected to it."""
    with fresh_database(postgres_server) as url:
        left_open = psycopg.connect(url.replace("+psycopg", ""))
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url.replace("+psycopg", ""))
    left_open.close()


def test_there_is_a_redis_on_every_machine() -> None:
    """The system's, or the bundled one."""
    assert redis_executable().endswith("redis-server")


def test_waiting_returns_what_was_waited_for() -> None:
    """So that a test can go on with it."""
    answers = iter([None, [], "there"])
    assert wait_until(lambda: next(answers)) == "there"


def test_waiting_in_vain_says_for_what() -> None:
    """A deadline without a name is no help at night."""
    with pytest.raises(AssertionError, match="the run to end"):
        wait_until(lambda: False, timeout=0.0, what="the run to end")


async def test_a_coroutine_can_be_waited_on_too() -> None:
    """With the same words."""
    answers = iter([0, 7])

    async def look() -> int:
        return next(answers)

    assert await until(look) == 7
