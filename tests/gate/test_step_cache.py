"""The step cache answers with all memos of a run or with none, and never with an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from celeriac.platform.durable.cache import MAX_VALUE_BYTES, Cache
from celeriac.platform.store.local_cache import LocalCache
from celeriac.platform.store.redis_cache import RedisCache
from celeriac.platform.store.redis_connection import connect
from services import free_port
from waiting import wait_until


@pytest.fixture(params=["local", "redis"])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    """A cache of each kind in turn."""
    if request.param == "local":
        yield LocalCache()
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisCache(client, ttl=timedelta(minutes=5))


def test_what_was_saved_is_loaded(cache: Cache) -> None:
    cache.save("ten_a", "run_1", {"charge": '"ä"', "turn:1/infer": "{}"})
    cache.save("ten_a", "run_1", {"notify": "null"})
    assert sorted(cache.load("ten_a", "run_1", 3) or []) == ['"ä"', "null", "{}"]


def test_a_part_is_never_returned(cache: Cache) -> None:
    cache.save("ten_a", "run_1", {"charge": "1", "notify": "2"})
    assert (cache.load("ten_a", "run_1", 3), cache.load("ten_a", "run_1", 1)) == (None, None)


def test_a_run_without_steps_needs_no_cache(cache: Cache) -> None:
    assert (cache.load("ten_a", "run_1", 0), cache.hits, cache.misses) == ([], 0, 0)


def test_hits_and_misses_are_counted(cache: Cache) -> None:
    cache.load("ten_a", "run_1", 1)
    cache.save("ten_a", "run_1", {"charge": "1"})
    cache.load("ten_a", "run_1", 1)
    assert (cache.hits, cache.misses) == (1, 1)


def test_a_large_value_sends_the_run_to_sql(cache: Cache) -> None:
    largest = "x" * MAX_VALUE_BYTES
    cache.save("ten_a", "run_1", {"small": "1", "largest": largest})
    assert cache.load("ten_a", "run_1", 2) is not None
    cache.save("ten_a", "run_1", {"too large": largest[:-1] + "ä"})
    assert cache.load("ten_a", "run_1", 3) is None


def test_saving_only_large_values_saves_nothing(cache: Cache) -> None:
    cache.save("ten_a", "run_1", {"large": "x" * (MAX_VALUE_BYTES + 1)})
    assert cache.load("ten_a", "run_1", 1) is None


def test_a_forgotten_run_is_gone(cache: Cache) -> None:
    cache.save("ten_a", "run_1", {"charge": "1"})
    cache.forget("ten_a", "run_1")
    cache.forget("ten_a", "run_never_seen")
    assert cache.load("ten_a", "run_1", 1) is None


def test_tenants_do_not_see_each_others_memos(cache: Cache) -> None:
    cache.save("ten_a", "run_1", {"charge": "1"})
    assert cache.load("ten_b", "run_1", 1) is None


def test_memos_in_redis_expire(redis_url: str) -> None:
    with connect(redis_url) as client:
        cache = RedisCache(client, ttl=timedelta(milliseconds=50))
        cache.save("ten_a", "run_1", {"charge": "1"})
        wait_until(lambda: not client.keys(), what="the memos to expire")


def test_without_redis_the_cache_misses_and_logs_but_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    with connect(f"redis://127.0.0.1:{free_port()}/0") as client, caplog.at_level(logging.WARNING):
        cache = RedisCache(client, ttl=timedelta(minutes=5))
        cache.save("ten_a", "run_1", {"charge": "1"})
        assert cache.load("ten_a", "run_1", 1) is None
        cache.forget("ten_a", "run_1")
    assert [record.args[0] for record in caplog.records if record.args] == ["save", "load", "forget"]
    assert all("'run_1'" in record.getMessage() and "'ten_a'" in record.getMessage() for record in caplog.records)
