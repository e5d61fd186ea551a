"""The wiring: builds the rooms of an installation from its settings.

The only file that names concrete adapters, each imported where it is built. Workers, the web, the CLI and `app.send`
ask it for the `Installation` of this process; it is made at first use and shared between threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from celeriac.clock import Clock
from celeriac.errors import ConfigError, NotFoundError
from celeriac.platform.agents.threads import Threads
from celeriac.platform.durable.cache import Cache
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.dispatch import Dispatcher, Links
from celeriac.platform.durable.intake import Intake, IntakeLimits
from celeriac.platform.durable.operations import Operations
from celeriac.platform.durable.operator import Operator
from celeriac.platform.durable.reads import Reads
from celeriac.platform.durable.store import Store
from celeriac.platform.durable.usage import Usages
from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.flow.gate import Gate, TenantLimits
from celeriac.platform.flow.meter import Allowance, Meter
from celeriac.platform.mcp.endpoint import McpLimits
from celeriac.platform.memory.memory import Memories
from celeriac.platform.models.key_choice import KeyChoice
from celeriac.platform.streams.stream import Stream
from celeriac.settings import Settings, load_settings

if TYPE_CHECKING:
    from celery import Celery
    from redis import Redis
    from sqlalchemy import Engine

    from celeriac.platform.flow.buckets import Buckets
    from celeriac.platform.models.key_choice import KeyChooser, KeyLookUp
    from celeriac.platform.store.local_cache import LocalCache
    from celeriac.platform.store.local_store import LocalStore
    from celeriac.platform.store.local_stream import LocalStream
    from celeriac.tenants.audit import Audit
    from celeriac.tenants.idempotency import GivenAnswers
    from celeriac.tenants.invitations import Invitations
    from celeriac.tenants.keys import Keys
    from celeriac.tenants.people import People
    from celeriac.tenants.plans import Plans
    from celeriac.tenants.secrets import Secrets
    from celeriac.tenants.tenant import Tenant, Tenants


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The rooms of this process."""

    settings: Settings
    store: Store
    reads: Reads
    gate: Gate
    cache: Cache
    stream: Stream
    links: Links
    dispatcher: Dispatcher
    intake: Intake
    #: for people, behind the wall of the tenant that is named
    operations: Operations
    #: the same for the fleet, which works for all tenants in turn
    upkeep: Operations
    operator: Operator
    usages: Usages
    tenants: Tenants
    plans: Plans
    meter: Meter
    keys: Keys
    people: People
    invitations: Invitations
    audit: Audit
    given_answers: GivenAnswers
    secrets: Secrets
    #: opens no connection and loads no Mem0 before it is used
    memories: Memories
    threads: Threads
    #: ends the connections to the database and to Redis; for those who build an installation for a while
    close: Callable[[], None]


def build(settings: Settings) -> Installation:
    """Build an installation; opens no connection yet."""
    from celeriac.platform.store.celery_links import CeleryLinks
    from celeriac.platform.store.redis_connection import connect as connect_redis
    from celeriac.platform.store.redis_gate import RedisGate
    from celeriac.platform.store.sql_operations import SqlOperations
    from celeriac.platform.store.sql_reads import SqlReads
    from celeriac.platform.store.sql_store import SqlStore
    from celeriac.platform.store.sql_usage import SqlUsages
    from celeriac.tenants.tenant import Tenants

    engine, walled, heart = _engines(settings)
    redis = connect_redis(settings.redis_url)
    tenants = Tenants(engine)
    store = SqlStore(engine, walled=walled, heart=heart, tenants=tenants.active)
    gate = RedisGate(redis, dead_after=timedelta(seconds=settings.worker_dead_seconds))
    links = CeleryLinks(settings)
    dispatcher = Dispatcher(gate, links, _limits_of(tenants), store.declared, is_paused=tenants.is_paused)
    usages = SqlUsages(engine, walled=walled)
    meter = _meter(tenants, redis, usages)
    who_may = _who_may(settings, engine, walled)
    reads, operations = SqlReads(engine, walled=walled), SqlOperations(walled)

    def close() -> None:
        for one in (engine, walled, heart):
            one.dispose()
        redis.close()

    return Installation(
        settings=settings,
        store=store,
        reads=reads,
        gate=gate,
        **_kept_for_a_while(settings, redis),
        links=links,
        dispatcher=dispatcher,
        intake=_intake(settings, store, dispatcher, meter),
        operations=operations,
        upkeep=SqlOperations(engine),
        usages=usages,
        operator=Operator(store, operations, reads, dispatcher, max_event_bytes=settings.max_event_bytes),
        tenants=tenants,
        meter=meter,
        **who_may,
        **_what_is_remembered(settings, walled, tenants, who_may["secrets"]),
        close=close,
    )


def _kept_for_a_while(settings: Settings, redis: Redis) -> dict[str, Any]:
    """Build the rooms of what Redis keeps for a while."""
    from celeriac.platform.store.redis_cache import RedisCache
    from celeriac.platform.store.redis_stream import RedisStream

    return {
        "cache": RedisCache(redis, ttl=timedelta(seconds=settings.cache_seconds)),
        "stream": RedisStream(redis, ttl=timedelta(seconds=settings.stream_seconds), cap_bytes=settings.stream_bytes),
    }


def _who_may(settings: Settings, engine: Engine, walled: Engine) -> dict[str, Any]:
    """Build the rooms of plans, keys, secrets and people."""
    from celeriac.tenants.audit import Audit
    from celeriac.tenants.encryption import Cipher
    from celeriac.tenants.idempotency import GivenAnswers
    from celeriac.tenants.invitations import Invitations
    from celeriac.tenants.keys import Keys
    from celeriac.tenants.people import People
    from celeriac.tenants.plans import Plans
    from celeriac.tenants.secrets import Secrets

    people = People(engine, walled=walled)
    cipher = cache(lambda: Cipher(settings.encryption_keys))
    return {
        "plans": Plans(engine),
        "keys": Keys(engine, cipher, walled=walled),
        "secrets": Secrets(engine, cipher, walled=walled),
        "people": people,
        "invitations": Invitations(engine, people, walled=walled),
        "audit": Audit(engine, walled=walled),
        "given_answers": GivenAnswers(engine, walled=walled),
    }


def _what_is_remembered(settings: Settings, walled: Engine, tenants: Tenants, secrets: Secrets) -> dict[str, Any]:
    """Build the rooms of memories and conversations, both behind the wall of their tenant."""
    from celeriac.platform.memory.mem0 import mem0_memories
    from celeriac.platform.store.sql_threads import SqlThreads

    return {
        "memories": mem0_memories(
            walled, settings.memory_embedder, _most(tenants, "memories"), _key_look_up(secrets, tenants)
        ),
        "threads": SqlThreads(walled, _most(tenants, "threads")),
    }


@cache
def installation() -> Installation:
    """Return this process's installation, built from its settings."""
    return build(load_settings())


def broker_app(settings: Settings) -> Celery:
    """Return a Celery app with the installation's broker and no tasks; the fleet puts its tasks on it."""
    from celeriac.platform.store.celery_links import celery_app

    return celery_app(settings)


def conduct(settings: Settings, *, choose_key: KeyChooser | None = None) -> Conduct:
    """Return how links behave by the settings."""
    retry = settings.retry_seconds
    fetch_limits = FetchLimits(allowed_networks=settings.fetch_networks)
    return Conduct(
        retry_delay=None if retry is None else timedelta(seconds=retry),
        link_budget=timedelta(seconds=settings.link_budget_seconds),
        max_event_bytes=settings.max_event_bytes,
        max_output_bytes=settings.max_output_bytes,
        max_state_bytes=settings.max_state_bytes,
        max_steps=settings.max_steps,
        fetch_limits=fetch_limits,
        mcp_limits=McpLimits(allow_stdio=settings.mcp_stdio, fetch=fetch_limits),
        choose_key=choose_key,
    )


def key_chooser(rooms: Installation) -> KeyChooser:
    """Return what looks up whose key a model is called with: the tenant's own, unless it has none."""
    look_up = _key_look_up(rooms.secrets, rooms.tenants)

    async def choose(tenant_id: str, provider: str) -> KeyChoice:
        return await asyncio.to_thread(look_up, tenant_id, provider)

    return choose


def _key_look_up(secrets: Secrets, tenants: Tenants) -> KeyLookUp:
    def look_up(tenant_id: str, provider: str) -> KeyChoice:
        own = secrets.key_of(tenant_id, provider)
        limits = tenants.limits(tenant_id)
        return KeyChoice(own=own, may_use_operators=limits.may_use_operator_keys)

    return look_up


def tenant_of_sender(given: str | None) -> str:
    """Return the tenant that a plain call is for: the one given, else the deployment's default.

    Raises `ConfigError` where there is neither, and `NotFoundError` for an id that no tenant has.
    """
    tenant_id = given or load_settings().default_tenant
    if tenant_id is None:
        raise ConfigError("No tenant: give tenant=…, or set CELERIAC_DEFAULT_TENANT for this deployment")
    installation().tenants.limits(tenant_id)  # remembered for a second
    return tenant_id


@dataclass(frozen=True, kw_only=True)
class LocalRooms:
    """The in-memory twins, for one process."""

    store: LocalStore
    gate: Gate
    cache: LocalCache
    stream: LocalStream
    buckets: Buckets
    memories: Memories
    threads: Threads


def local_rooms(clock: Clock, *, dead_after: timedelta, tenants: Callable[[], Sequence[str]] = tuple) -> LocalRooms:
    """Build the in-memory twins, moved by `clock`; `tenants` tells the active ones."""
    from celeriac.platform.agents.local_threads import LocalThreads
    from celeriac.platform.memory.local_memories import LocalMemories
    from celeriac.platform.store.local_buckets import LocalBuckets
    from celeriac.platform.store.local_cache import LocalCache
    from celeriac.platform.store.local_gate import LocalGate
    from celeriac.platform.store.local_store import LocalStore
    from celeriac.platform.store.local_stream import LocalStream

    return LocalRooms(
        store=LocalStore(clock, tenants=tenants),
        gate=LocalGate(clock, dead_after=dead_after),
        cache=LocalCache(),
        stream=LocalStream(),
        buckets=LocalBuckets(clock),
        memories=LocalMemories(),
        threads=LocalThreads(),
    )


def _engines(settings: Settings) -> tuple[Engine, Engine, Engine]:
    """Return the database as the engine sees it, as people do, for whom a tenant is named each time, and for the heart.

    That has a connection of its own, as a worker that waits for one behind its runs is judged dead. The writers of
    SQLite line up behind each other in any case.
    """
    from celeriac.database import connect
    from celeriac.row_security import ENGINE, WEB

    url, mode = settings.database_url, settings.row_security
    engine, walled = connect(url, role=ENGINE, row_security=mode), connect(url, role=WEB, row_security=mode)
    if engine.dialect.name == "sqlite":
        return engine, walled, engine
    return engine, walled, connect(url, role=ENGINE, row_security=mode, connections=1)


def _limits_of(tenants: Tenants) -> Callable[[str], TenantLimits]:
    def limits(tenant_id: str) -> TenantLimits:
        try:
            own = tenants.limits(tenant_id)
        except NotFoundError:
            return TenantLimits()
        return TenantLimits(
            running=own.running,
            starts_per_second=own.starts_per_second,
            starts_burst=own.starts_burst,
            weight=own.weight,
        )

    return limits


def _most(tenants: Tenants, limit: Literal["memories", "threads"]) -> Callable[[str], int | None]:
    def most(tenant_id: str) -> int | None:
        try:
            found: int | None = getattr(tenants.limits(tenant_id), limit)
            return found
        except NotFoundError:
            return None

    return most


def _intake(settings: Settings, store: Store, dispatcher: Dispatcher, meter: Meter) -> Intake:
    limits = IntakeLimits(event_bytes=settings.max_event_bytes, events=settings.max_events)
    return Intake(store, dispatcher, limits, admit=meter.admit_events)


def _meter(tenants: Tenants, redis: Redis, usages: Usages) -> Meter:
    """Return a meter by the tenants' limits of the moment."""
    from celeriac.platform.store.redis_buckets import RedisBuckets

    def allowance(tenant_id: str) -> Allowance:
        try:
            return _allowance(tenants.recent(tenant_id))
        except NotFoundError:
            return Allowance()

    def peek(tenant_id: str) -> Allowance | None:
        known = tenants.remembered(tenant_id)
        return None if known is None else _allowance(known)

    return Meter(RedisBuckets(redis), allowance, usages, peek=peek)


def _allowance(tenant: Tenant) -> Allowance:
    return Allowance(**{one.name: getattr(tenant.limits, one.name) for one in fields(Allowance)})
