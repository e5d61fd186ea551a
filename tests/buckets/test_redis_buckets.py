"""What only the buckets in Redis promise: exactness over processes, nothing left behind, and no gift after a loss."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from bucket_stage import TENANT, fill, taken_by_threads, taken_from, want
from redis import Redis

from celeriac.platform.flow.buckets import BucketsUnavailable, Later, Taken
from celeriac.platform.store.redis_buckets import PERMANENT_KEYS, RedisBuckets
from celeriac.platform.store.redis_connection import connect
from services import free_port


def test_two_processes_of_four_threads_get_exactly_what_there_is(redis: Redis, redis_url: str) -> None:
    """480 takes of a bucket with 100 tokens: 100 go through."""
    fill(RedisBuckets(redis), want(burst=100))
    script = str(Path(__file__).with_name("bucket_stage.py"))
    with subprocess.Popen([sys.executable, script, redis_url], stdout=subprocess.PIPE, text=True) as other:
        here = taken_from(redis_url, threads=4, each=60)
        there, _ = other.communicate(timeout=60)
    assert here + int(there) == 100


def test_a_refilling_bucket_gives_its_burst_and_its_rate_and_no_more(redis: Redis) -> None:
    """By Redis's own clock: at most 20 + 500 a second, and nearly all of it."""
    buckets, one = RedisBuckets(redis), want(burst=20, rate=500)
    fill(buckets, one)
    begun = _now(redis)
    taken = taken_by_threads(lambda: isinstance(buckets.take(TENANT, [one]), Taken), threads=4, each=150)
    most = 20 + 500 * (_now(redis) - begun)
    assert 0.9 * most - 10 <= taken <= most


def test_who_waits_as_long_as_told_gets_it(redis: Redis) -> None:
    """The time that was told is no guess: before it the token is not there, after it it is."""
    buckets, one = RedisBuckets(redis), want(burst=1, rate=100)
    fill(buckets, one)
    buckets.take(TENANT, [one])
    asked = _now(redis)
    told = buckets.take(TENANT, [one])
    assert isinstance(told, Later)
    not_before, at_last = asked + told.after.total_seconds(), _now(redis) + told.after.total_seconds()
    refused_at = [asked]
    while isinstance(buckets.take(TENANT, [one]), Later):
        refused_at.append(_now(redis))
    assert _now(redis) >= not_before
    assert refused_at[-1] <= at_last + 0.05


def test_after_a_loss_a_bucket_is_empty(redis: Redis) -> None:
    """Nobody gets a second burst because Redis was emptied."""
    buckets, one = RedisBuckets(redis), want(rate=0.001)
    fill(buckets, one)
    redis.flushall()
    answer = buckets.take(TENANT, [one])
    assert isinstance(answer, Later)
    assert answer.after > timedelta(seconds=990)


def test_buckets_fill_from_the_begin_on(redis: Redis) -> None:
    """Also those that nobody has asked for: the first request of a fresh installation is not refused."""
    buckets = RedisBuckets(redis)
    buckets.begin()
    born = redis.get("cel:buckets:born")
    buckets.begin()
    assert redis.get("cel:buckets:born") == born
    assert abs(float(born or 0) / 1e6 - _now(redis)) < 5


def test_every_key_carries_its_tenant_and_goes_once_its_bucket_is_full(redis: Redis) -> None:
    """A bucket of one token at one a second is kept for a second or so, and a line a little longer than its last."""
    buckets = RedisBuckets(redis)
    buckets.queue(TENANT, [want(burst=1, rate=1)], ticket=None)
    buckets.settle(TENANT, [want(burst=1, rate=1, name="other")])
    kinds = {f"cel:{kind}:{TENANT}:calls" for kind in ("bucket", "line", "sums")}
    assert set(_passing(redis)) == {*kinds, f"cel:bucket:{TENANT}:other"}
    assert all(0 < redis.pttl(key) <= 10_000 for key in _passing(redis))


def test_nothing_is_left_of_a_line_in_which_nobody_waits(redis: Redis) -> None:
    """When the last one has what it waited for, only the bucket stays."""
    buckets, one = RedisBuckets(redis), want()
    told = [buckets.queue(TENANT, [one], ticket=None) for _ in range(70)]
    fill(buckets, want(burst=100))
    answers = [
        buckets.queue(TENANT, [want(burst=100)], ticket=later.ticket) for later in told if isinstance(later, Later)
    ]
    assert len(answers) == 70 and all(isinstance(one, Taken) for one in answers)
    assert list(_passing(redis)) == [f"cel:bucket:{TENANT}:calls"]


@pytest.mark.parametrize("lost", ["line", "sums"])
def test_half_a_line_that_was_lost_holds_nobody_up(redis: Redis, lost: str) -> None:
    """Who comes then waits no longer than behind those who stand in it anew."""
    buckets, one = RedisBuckets(redis), want(burst=1, rate=0.01)
    for _ in range(200):
        buckets.queue(TENANT, [one], ticket=None)
    redis.delete(f"cel:{lost}:{TENANT}:calls")
    *_, told = [buckets.queue(TENANT, [one], ticket=None) for _ in range(70)]
    assert isinstance(told, Later)
    assert told.after / timedelta(seconds=100) == pytest.approx(70, abs=10)


def test_a_redis_that_is_away_says_so() -> None:
    """Who asks decides what then holds."""
    buckets = RedisBuckets(connect(f"redis://127.0.0.1:{free_port()}"))
    with pytest.raises(BucketsUnavailable):
        buckets.take(TENANT, [want()])


def _passing(redis: Redis) -> list[str]:
    return [key for key in redis.scan_iter() if key.removeprefix("cel:") not in PERMANENT_KEYS]


def _now(redis: Redis) -> float:
    seconds, micros = redis.time()
    return float(seconds) + micros / 1_000_000
