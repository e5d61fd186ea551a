"""The stage of the buckets' tests: what is asked of them, and a second process that asks as well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from celeriac.platform.flow.buckets import Buckets, Taken, Want
from celeriac.platform.store.redis_buckets import RedisBuckets

#: refills so slowly that no test sees it
STILL = 1e-7

TENANT = "ten_a"


def want(amount: float = 1, *, burst: float = 10, rate: float = STILL, name: str = "calls") -> Want:
    """Ask for that much of a bucket that stands still."""
    return Want(name=name, amount=amount, rate=rate, burst=burst)


def fill(buckets: Buckets, *wants: Want, tenant_id: str = TENANT) -> None:
    """Fill the buckets up."""
    buckets.settle(tenant_id, [Want(name=one.name, amount=-1e9, rate=one.rate, burst=one.burst) for one in wants])


def taken_by_threads(take: Callable[[], bool], *, threads: int, each: int) -> int:
    """Let threads take at the same time; return how many takes went through."""
    with ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(lambda: sum(take() for _ in range(each))) for _ in range(threads)]
        return sum(one.result() for one in asked)


def taken_from(url: str, *, threads: int, each: int) -> int:
    """Take with the threads of this process."""
    with Redis.from_url(url, decode_responses=True) as redis:
        buckets = RedisBuckets(redis)
        return taken_by_threads(
            lambda: isinstance(buckets.take(TENANT, [want(burst=100)]), Taken), threads=threads, each=each
        )


if __name__ == "__main__":
    sys.stdout.write(str(taken_from(sys.argv[1], threads=4, each=60)))
