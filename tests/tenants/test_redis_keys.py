"""Redis holds nothing of a tenant under a key that does not carry its id, and messages carry ids alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis

from celeriac.database import migrate
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.event import Event
from celeriac.platform.streams.draft import Draft
from celeriac.platform.streams.stream import Passage
from celeriac.settings import Settings
from celeriac.web.hints import Hints
from celeriac.wiring import Installation, build

#: beginnings of the keys that carry no tenant, each with the reason why none is needed
OF_THE_FLEET = {
    "cel:gate:run:": "a run's id, which no two tenants share; its value names the tenant",
    "cel:gate:slot:": "a link's id; its value names the tenant",
    "cel:gate:waiting:": "a number for each queue",
    "cel:gate:ring:": "tenants of a queue in their order: members, no data of theirs",
    "cel:gate:later:": "the same",
    "cel:gate:left:": "the same",
    "cel:gate:active:": "the last tenants with a run on a queue: members, no data of theirs",
    "cel:gate:turn:": "a number for each queue",
    "cel:gate:taken:": "links of a queue, by their ids",
    "cel:gate:worker": "workers, which serve all tenants",
    "cel:gate:born": "when the gate began",
    "cel:broker:": "Celery's queues: messages with ids of runs alone",
}


@pytest.fixture
def rooms(sqlite_url: str, redis_url: str) -> Iterator[Installation]:
    """An installation with a worker that takes links, and nobody who executes them."""
    migrate(sqlite_url)
    rooms = build(Settings(database_url=sqlite_url, redis_url=redis_url))
    rooms.store.declare("desk", [Declaration(app="desk", function_id="work", triggers=("ticket",))], [])
    rooms.gate.attend("wrk_one", ["runs"], 3)
    yield rooms
    rooms.close()


def load(rooms: Installation, name: str) -> str:
    """Let a tenant do what leaves something in Redis: runs that wait, runs on their way, memos, a sign-in."""
    tenant = rooms.tenants.create(name).id
    rooms.intake.accept(tenant, [Event("ticket", {"text": f"canary of {tenant}"}) for _ in range(4)])
    rooms.dispatcher.send_picked("runs")
    rooms.cache.save(tenant, f"run_of_{name}", {"a": f"canary of {tenant}"})
    rooms.stream.append([told_of(tenant, f"run_of_{name}")])
    assert Hints(rooms.settings.redis_url).use_once(tenant, "nonce", timedelta(minutes=1))
    return tenant


def told_of(tenant: str, run_id: str) -> Passage:
    """Return something that a run tells, with a channel of its own beside."""
    told = {"topic": "t", "delta": "anything"}
    draft = Draft(kind="once", id="one", event="data.delta", data=told, timestamp=1)
    return Passage(tenant_id=tenant, run_id=run_id, drafts=[draft], channels=("user:42",))


def held_under(client: redis.Redis, key: str) -> str:
    """Return all that a key holds."""
    match client.type(key):
        case "string":
            return str(client.get(key))
        case "hash":
            return str(client.hgetall(key))
        case "list":
            return str(client.lrange(key, 0, -1))
        case "zset":
            return str(client.zrange(key, 0, -1))
        case "stream":
            return str(client.xrange(key))
        case _:
            return str(client.smembers(key))


def test_every_key_carries_its_tenant(rooms: Installation, redis_url: str) -> None:
    """For a new key: put the tenant into its name, or it and the reason into the list above."""
    tenants = [load(rooms, name) for name in ("one", "two")]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        keys = list(client.scan_iter())
    of_tenants = [key for key in keys if any(tenant in key for tenant in tenants)]
    unknown = [key for key in keys if key not in of_tenants and not key.startswith(tuple(OF_THE_FLEET))]
    assert unknown == []
    assert {tenant for key in of_tenants for tenant in tenants if tenant in key} == set(tenants)


def test_only_the_cache_holds_what_tenants_said_and_each_under_its_own_key(rooms: Installation, redis_url: str) -> None:
    tenants = [load(rooms, name) for name in ("one", "two")]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        holding = {key: held_under(client, key) for key in client.scan_iter()}
    for tenant in tenants:
        held = [key for key, value in holding.items() if f"canary of {tenant}" in value]
        assert len(held) == 1 and tenant in held[0], held
