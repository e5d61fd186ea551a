"""Redis holds nothing of a tenant under a key that does not carry its id, and messages carry ids alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files

import pytest
import redis

from celeriac.database import migrate
from celeriac.platform.durable.declaration import Declaration, StartRules
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Concurrency, Throttle
from celeriac.platform.flow.meter import Toll
from celeriac.platform.streams.draft import Draft
from celeriac.platform.streams.stream import Passage
from celeriac.settings import Settings
from celeriac.web.hints import Hints, Tries
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
    "cel:gate:hold:": "a run's id; its value names the tenant",
    "cel:gate:holders": "runs that hold a pool, by their ids",
    "cel:gate:born": "when the gate began",
    "cel:gate:lost": "when another one began",
    "cel:gate:settling": "that workers are telling a new one what executes",
    "cel:buckets:born": "when the buckets began",
    "cel:broker:": "Celery's queues: messages with ids of runs alone",
    "celeriac:signin:": "how often an account or an address was tried, under a hash, before anybody has a tenant",
}

#: beginnings of keys beside the gate's that no time removes, each with the reason
LASTING = {
    "cel:buckets:born": "one for ever",
    "cel:broker:": "a queue goes with its last message, and bindings are as many as queues",
}

#: how the table of the gate's keys says that no time removes one
NO_TIME = ("emptied", "permanent", "none | half dead")

_ROW = re.compile(r"^--   (\w+)(?::\S+)? +(?:STRING|HASH|ZSET|SET) +(.+?)  ", re.MULTILINE)

#: fewer than three tenants take, so that somebody waits for one
PLACES = 20

#: one starts at a time, or one of each text; runs hold their place to the end; one starts an hour
LIMITED = {
    "one": StartRules(concurrency=(Concurrency(1),)),
    "each": StartRules(concurrency=(Concurrency(1, key="event.data.text"),)),
    "whole": StartRules(concurrency=(Concurrency(1, key="event.data.text", hold="run"),)),
    "paced": StartRules(throttle=Throttle(1, per=timedelta(hours=1), key="event.data.text")),
}


@pytest.fixture
def rooms(sqlite_url: str, redis_url: str) -> Iterator[Installation]:
    """An installation with a worker that takes links, and nobody who executes them."""
    migrate(sqlite_url)
    rooms = build(Settings(database_url=sqlite_url, redis_url=redis_url))
    work = Declaration(app="desk", function_id="work", triggers=("ticket",))
    limited = [replace(work, function_id=name, rules=rules) for name, rules in LIMITED.items()]
    rooms.store.declare("desk", [work, *limited], [])
    rooms.gate.attend("wrk_one", ["runs"], PLACES)
    yield rooms
    rooms.close()


def load(rooms: Installation, name: str, *, events: int = 4, running: int = 1_000) -> str:
    """Let a tenant do what leaves something in Redis.

    Runs that wait, also for their limits, runs on their way, memos, what runs tell, calls of models, a sign-in.
    """
    tenant = rooms.tenants.create(name, {"model_requests_per_minute": 60, "running": running}).id
    rooms.intake.accept(tenant, [Event("ticket", {"text": f"canary of {tenant}"}) for _ in range(events)])
    rooms.dispatcher.send_picked("runs")
    rooms.cache.save(tenant, f"run_of_{name}", {"a": f"canary of {tenant}"})
    rooms.stream.append([told_of(tenant, f"run_of_{name}")])
    for _ in range(4):  # one more than there is room for
        rooms.meter.reserve(tenant, Toll(provider="openai", tokens=10), ticket=None)
    hints = Hints(rooms.settings.redis_url)
    assert hints.use_once(tenant, "nonce", timedelta(minutes=1))
    assert hints.next_try(Tries(account=f"{name}@example.com", address="127.0.0.1")) is None
    return tenant


def load_all(rooms: Installation) -> None:
    """Let tenants come who take much, little, what is left, and no more than they may."""
    load(rooms, "noisy")
    load(rooms, "quiet", events=1)
    load(rooms, "late")
    load(rooms, "narrow", running=1)


def lose_the_gate(rooms: Installation, client: redis.Redis) -> None:
    """Let a worker find another gate than the one that it knows."""
    client.delete("cel:gate:born")
    rooms.gate.attend("wrk_one", ["runs"], PLACES)


def gate_keys() -> dict[str, str]:
    """Return the kinds of the gate's keys, and how long each lives, as its own table says."""
    table = files("celeriac.platform.store").joinpath("lua/parts/1_keys.lua").read_text("utf-8")
    return dict(_ROW.findall(table))


def kind_of(key: str) -> str:
    """Return which of the gate's keys this is, or the beginning of another one."""
    return key.removeprefix("cel:gate:").partition(":")[0] if key.startswith("cel:gate:") else key


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


def test_every_kind_of_key_is_looked_at_here(rooms: Installation, redis_url: str) -> None:
    """A new kind of the gate's, which stands in its table, is to be made by `load` as well."""
    load_all(rooms)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        lose_the_gate(rooms, client)
        keys = list(client.scan_iter())
    assert set(gate_keys()) - {kind_of(key) for key in keys} == set()
    others = ("cel:memo:", "cel:chunks:", "cel:book:", "cel:bucket:", "cel:line:", "cel:sums:", "celeriac:t:")
    expected = {*others, *(one for one in OF_THE_FLEET if not one.startswith("cel:gate:"))}
    assert {one for one in expected if not any(key.startswith(one) for key in keys)} == set()


def test_every_key_goes_by_its_time_or_when_it_is_empty(rooms: Installation, redis_url: str) -> None:
    """What the table of the gate's keys says is what they have, and nothing else lasts than what says why."""
    load_all(rooms)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        lose_the_gate(rooms, client)
        lasting = {key for key in client.scan_iter() if client.ttl(key) == -1}
    may_last = {name for name, ttl in gate_keys().items() if ttl in NO_TIME}
    assert {key for key in lasting if not key.startswith(tuple(LASTING)) and kind_of(key) not in may_last} == set()


def test_only_the_cache_holds_what_tenants_said_and_each_under_its_own_key(rooms: Installation, redis_url: str) -> None:
    tenants = [load(rooms, name) for name in ("one", "two")]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        holding = {key: held_under(client, key) for key in client.scan_iter()}
    for tenant in tenants:
        held = [key for key, value in holding.items() if f"canary of {tenant}" in value]
        assert len(held) == 1 and tenant in held[0], held
