"""The stage of the second wall: two tenants in one Postgres, and a database that forgets every tenant's filter."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from celeriac.database import connect, migrate
from celeriac.platform.agents.threads import Entry
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.event import Event, signal_name
from celeriac.platform.memory.embedder import embedder
from celeriac.platform.memory.mem0 import mem0_memories
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.sql_threads import SqlThreads
from celeriac.row_security import ENGINE, WEB
from celeriac.tenants.encryption import Cipher, new_key
from celeriac.tenants.idempotency import Begun, GivenAnswers, KeyedRequest
from celeriac.tenants.invitations import Invitations
from celeriac.tenants.keys import Keys, KeyWish
from celeriac.tenants.people import People
from celeriac.tenants.secrets import Secrets
from celeriac.tenants.tenant import Tenants
from services import fresh_database
from web.bank_runs import Desk

EMBEDDER = embedder("hashing")
CIPHER = Cipher(new_key("k1"))
#: a thread of the other tenant's
THREAD = "thread"
#: the provider of the other tenant's secret `main`
KEY_OF = "openai"
#: an address that both tenants invite
SHARED_ADDRESS = "ada@example.com"
[CANARIES] = EMBEDDER.embed(["canaries"])

_PASSWORD = "correct horse battery"

#: a comparison of a tenant's column with whatever it is compared with
_FILTER = re.compile(
    r"\b(?:(?:\w+\.)?tenant_id|tenants\.id) "
    r"(?:= (?:%\(\w+\)s(?:::\w+)?|%s|\w+\.tenant_id)|IN \([^()]*(?:\([^()]*\)[^()]*)*\))"
)


@dataclass(frozen=True)
class Runs:
    """Ids of the other tenant's: runs that ended, wait, and ask for an approval, an event, a bulk action."""

    run: str
    waiting: str
    asking: str
    event: str
    action: str


@dataclass(frozen=True)
class Others:
    """Ids of the other tenant's: a key, a member, a user of both tenants, an invitation; the seed of an answer."""

    key: str
    member: str
    of_both: str
    invitation: str
    seed: str


@dataclass(frozen=True)
class World:
    """One database with its tenants: `me`, who asks, and `other`, whose data nobody else may see."""

    url: str
    engine: Engine
    walled: Engine
    me: str
    other: str
    runs: Runs
    #: the id of a memory
    memory: str
    others: Others


@contextmanager
def world(server: str) -> Iterator[World]:
    """Make the database and give both tenants something."""
    with fresh_database(server) as url:
        migrate(url)
        engine, walled = (connect(url, role=role) for role in (ENGINE, WEB))
        tenants = Tenants(engine)
        me, other = (tenants.create(name).id for name in ("Northbridge", "Alder"))
        Desk(SqlStore(engine), me).open().completed()
        [memory] = mem0_memories(engine, "hashing").add(other, "ada", "likes canaries")
        SqlThreads(engine).open(other, THREAD)
        SqlThreads(engine).append(other, THREAD, [said("canaries")])
        runs, others = _runs_of(engine, other), _others_of(engine, me, other)
        try:
            yield World(url, engine, walled, me, other, runs, memory.id, others)
        finally:
            engine.dispose()
            walled.dispose()


def _runs_of(engine: Engine, other: str) -> Runs:
    store, operations = SqlStore(engine), SqlOperations(engine)
    theirs = Desk(store, other).open()
    run, waiting, asking = theirs.completed("canary"), theirs.waiting(), theirs.asking("canary")
    listening = theirs.started()
    name, later = signal_name("canary"), datetime.now(UTC) + timedelta(hours=1)
    signal = Wait(path="listening", kind="signal", event_name=name, wake_at=later)
    assert store.await_event(listening.claim, signal) is not None
    store.ingest(other, [Event("bank/day.ended", {"canary": True})])
    store.pause(other, "bank", "support", is_paused=True)
    action = operations.begin(other, "cancel", RunFilter(function_id="support")).id
    event_id = SqlReads(engine).run(other, run).event_id
    return Runs(run, waiting, asking, str(event_id), action)


def _others_of(engine: Engine, me: str, other: str) -> Others:
    keys, people, answers = Keys(engine, lambda: CIPHER), People(engine), GivenAnswers(engine)
    keys.create(other, "signing")
    key, _ = keys.create(other, KeyWish.of("api", name="canary"))
    for name, provider in (("main", KEY_OF), ("spare", None)):
        Secrets(engine, lambda: CIPHER).put(other, name, "canary", provider=provider, actor="cli:them")
    member, of_both = (people.create(f"{name}@example.com", _PASSWORD).id for name in ("canary", "both"))
    people.set_role(other, member, "viewer")
    for tenant_id in (me, other):
        people.set_role(tenant_id, of_both, "owner" if tenant_id == other else "viewer")
    invitation, _ = Invitations(engine, people).create(other, SHARED_ADDRESS, "viewer")
    for tenant_id, told in ((me, "mine"), (other, "canary")):
        begun = answers.begin(given(tenant_id))
        assert isinstance(begun, Begun)
        answers.answer(given(tenant_id), begun.seed, 200, told)
    pending = answers.begin(unanswered(other))
    assert isinstance(pending, Begun)
    return Others(key, member, of_both, invitation.id, pending.seed)


def given(tenant_id: str) -> KeyedRequest:
    """Return a request that each tenant has sent, and that was answered."""
    return KeyedRequest(tenant_id=tenant_id, route="POST /v1/bulk", key="given", body=None)


def unanswered(tenant_id: str) -> KeyedRequest:
    """Return a request that the other tenant has sent, and that is not answered yet."""
    return KeyedRequest(tenant_id=tenant_id, route="POST /v1/bulk", key="unanswered", body=None)


def said(text: str) -> Entry:
    """Return a message of a thread."""
    return Entry(id=f"msg_{text}", kind="user", data={"role": "user", "text": text}, checksum="")


def without_filter(statement: str) -> str:
    """Return the statement with each comparison with a tenant made true."""
    return _FILTER.sub(r"(\g<0> OR true)", statement)


@contextmanager
def filters_removed(engine: Engine) -> Iterator[list[str]]:
    """Make each comparison with a tenant true in what the engine executes; yield those that were found."""
    found: list[str] = []

    def strip(*given: Any) -> tuple[str, Any]:
        _, _, statement, parameters, *_ = given
        found.extend(_FILTER.findall(statement))
        return without_filter(statement), parameters

    event.listen(engine, "before_cursor_execute", strip, retval=True)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", strip)


@contextmanager
def database_of_a_login(server: str, *may: str) -> Iterator[tuple[str, str]]:
    """Make a login that is no superuser and owns a database; yield the URL of that, and the login's name."""
    login = f"celeriac_test_{secrets.token_hex(4)}"
    with fresh_database(server) as url:
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {login} LOGIN {' '.join(may)}".encode())
            admin.execute(f"ALTER DATABASE {name} OWNER TO {login}".encode())
        yield re.sub(r"//[^@/]*@", f"//{login}@", url), login
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP ROLE {login}".encode())
