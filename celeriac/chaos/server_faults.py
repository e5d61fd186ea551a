"""Faults that strike the servers: a Redis that forgets or refuses, a database that is gone, cut off or read-only."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url

from celeriac.chaos.ground import Ground
from celeriac.chaos.plan import Fault
from celeriac.chaos.proxy import PASS, Manner
from celeriac.chaos.stage import Stage
from celeriac.chaos.worker_faults import name_of, workers_of

_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    "pg_backend_pid()"
)

#: what a Redis that is struck raises
REDIS_AWAY = (RedisError, OSError)

#: how long answers are lost, and how long not, in turns
_TURN_SECONDS = 0.25


@asynccontextmanager
async def redis_of(ground: Ground) -> AsyncIterator[Redis]:
    """Connect to the installation's Redis, past the proxies."""
    client: Redis = Redis.from_url(ground.redis_url)
    try:
        yield client
    finally:
        await client.aclose()


async def lose_redis(stage: Stage, fault: Fault) -> None:
    """Kill Redis, and start an empty one after a while."""
    with stage.record.during("redis", name_of(fault), detail="lost"):
        await asyncio.to_thread(stage.redis.kill)
        await asyncio.sleep(fault.seconds)
        await stage.redis.start()


async def flush(stage: Stage, fault: Fault) -> None:
    """Let Redis forget everything."""
    await _order_redis(stage, fault, lambda redis: redis.flushall(), detail="lost")


async def pause(stage: Stage, fault: Fault) -> None:
    """Let Redis answer nobody for a while."""
    await _order_redis(stage, fault, lambda redis: redis.client_pause(int(fault.seconds * 1000)))


async def cut_off_redis(stage: Stage, fault: Fault) -> None:
    """Let Redis drop all its clients."""
    await _order_redis(stage, fault, lambda redis: redis.client_kill_filter(_type="normal"))


async def fill(stage: Stage, fault: Fault) -> None:
    """Let Redis take no more writes, for lack of memory."""
    await _configure(stage, fault, {"maxmemory": "1", "maxmemory-policy": "noeviction"})


async def evict(stage: Stage, fault: Fault) -> None:
    """Let Redis throw keys away, as a cache would."""
    await _configure(stage, fault, {"maxmemory-policy": "allkeys-random", "maxmemory": "1"}, detail="lost")


async def demote(stage: Stage, fault: Fault) -> None:
    """Make Redis a replica of nobody: it answers, and takes no writes."""
    with stage.record.during("redis", name_of(fault)):
        async with redis_of(stage) as redis:
            await redis.slaveof("127.0.0.1", 1)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                await redis.slaveof()


async def _order_redis(stage: Stage, fault: Fault, order: Callable[[Redis], Awaitable[Any]], detail: str = "") -> None:
    with stage.record.during("redis", name_of(fault), detail=detail):
        async with redis_of(stage) as redis:
            await order(redis)
            await asyncio.sleep(fault.seconds)


async def _configure(stage: Stage, fault: Fault, settings: dict[str, str], detail: str = "") -> None:
    with stage.record.during("redis", name_of(fault), detail=detail):
        async with redis_of(stage) as redis:
            try:
                for name, value in settings.items():
                    await redis.config_set(name, value)
                await asyncio.sleep(fault.seconds)
            finally:
                await redis.config_set("maxmemory", "0")
                await redis.config_set("maxmemory-policy", "noeviction")


async def crash_database(stage: Stage, fault: Fault) -> None:
    """End Postgres without a checkpoint, and start it again after a while."""
    if stage.postgres is None:
        return
    async with stage.postgres.turn:  # on a busy machine the last outage may not be over yet
        with stage.record.during("database", name_of(fault)):
            await asyncio.to_thread(stage.postgres.crash)
            await asyncio.sleep(fault.seconds)
            await stage.postgres.start()


async def cut_off_database(stage: Stage, fault: Fault) -> None:
    """Let Postgres drop all its clients."""
    with stage.record.during("database", name_of(fault)):
        await stage.order(_TERMINATE)


async def lose_answers(stage: Stage, fault: Fault) -> None:
    """Let what is sent to Postgres arrive, and lose its answers: whoever committed cannot know it."""
    chance = random.Random(repr(fault))
    until = time.monotonic() + fault.seconds
    with stage.record.during("database", name_of(fault)) as trouble:
        before = sum(worker.database.unanswered for worker in workers_of(stage) if worker.database)
        while time.monotonic() < until:
            for worker in workers_of(stage):
                if worker.database is not None:
                    word = chance.choice((b"", b"COMMIT"))
                    worker.database.behave(
                        Manner(kind="unanswered", after_bytes=chance.randrange(4_000), after_word=word)
                    )
            await asyncio.sleep(_TURN_SECONDS)
            for worker in workers_of(stage):
                if worker.database is not None:
                    worker.database.behave(PASS)
            await asyncio.sleep(_TURN_SECONDS)
        after = sum(worker.database.unanswered for worker in workers_of(stage) if worker.database)
        trouble.detail = f"{after - before} answers lost"


async def refuse_writes(stage: Stage, fault: Fault) -> None:
    """Let the database take no writes: Postgres goes read-only, and a SQLite file is held by another process."""
    with stage.record.during("database", name_of(fault)):
        if not stage.is_postgres:
            await asyncio.to_thread(_hold, Path(str(make_url(stage.database_url).database)), fault.seconds)
            return
        await stage.order("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await stage.order("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


def _hold(path: Path, seconds: float) -> None:
    held = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        held.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        held.execute("ROLLBACK")
    finally:
        held.close()
