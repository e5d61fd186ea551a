"""The stage of the second wall: two tenants in one Postgres, and a database that forgets every tenant's filter."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from celeriac.database import connect, migrate
from celeriac.platform.agents.threads import Entry
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.event import Event, signal_name
from celeriac.platform.memory.embedder import embedder
from celeriac.platform.memory.mem0 import mem0_memories
from celeriac.platform.memory.scope import Scope
from celeriac.platform.memory.sql_vectors import SqlVectors
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.sql_threads import SqlThreads
from celeriac.row_security import ENGINE, WEB
from celeriac.tenants.encryption import Cipher, new_key
from celeriac.tenants.keys import Keys
from celeriac.tenants.signing import SigningKeys
from celeriac.tenants.tenant import Tenants
from services import fresh_database
from web.bank_runs import Desk

EMBEDDER = embedder("hashing")
CIPHER = Cipher(new_key("k1"))
#: a thread of the other tenant's
THREAD = "thread"
[CANARIES] = EMBEDDER.embed(["canaries"])

#: a comparison of a tenant's column with whatever it is compared with
_FILTER = re.compile(
    r"\b(?:\w+\.)?tenant_id (?:= (?:%\(\w+\)s(?:::\w+)?|\w+\.tenant_id)|IN \([^()]*(?:\([^()]*\)[^()]*)*\))"
)


@dataclass(frozen=True)
class World:
    """One database with its tenants: `me`, who asks, and `other`, whose data nobody else may see."""

    url: str
    engine: Engine
    walled: Engine
    me: str
    other: str
    #: ids of the other tenant's: a run, one that waits, an event, a bulk action, a memory
    run: str
    waiting: str
    event: str
    action: str
    memory: str


@contextmanager
def world(server: str) -> Iterator[World]:
    """Make the database and give both tenants something."""
    with fresh_database(server) as url:
        migrate(url)
        engine, walled = (connect(url, role=role) for role in (ENGINE, WEB))
        tenants, store, operations = Tenants(engine), SqlStore(engine), SqlOperations(engine)
        me, other = (tenants.create(name).id for name in ("Northbridge", "Alder"))
        Desk(store, me).open().completed()
        theirs = Desk(store, other).open()
        run = theirs.completed("canary")
        waiting = theirs.waiting()
        listening = theirs.started()
        name, later = signal_name("canary"), datetime.now(UTC) + timedelta(hours=1)
        signal = Wait(path="listening", kind="signal", event_name=name, wake_at=later)
        assert store.await_event(listening.claim, signal) is not None
        store.ingest(other, [Event("bank/day.ended", {"canary": True})])
        store.pause(other, "bank", "support", is_paused=True)
        action = operations.begin(other, "cancel", RunFilter(function_id="support")).id
        [memory] = mem0_memories(engine, "hashing").add(other, "ada", "likes canaries")
        SqlThreads(engine).open(other, THREAD)
        SqlThreads(engine).append(other, THREAD, [said("canaries")])
        Keys(engine, lambda: CIPHER).create(other, "signing")
        event_id = SqlReads(engine).run(other, run).event_id
        try:
            yield World(url, engine, walled, me, other, run, waiting, event_id, action, memory.id)
        finally:
            engine.dispose()
            walled.dispose()


def vectors(engine: Engine) -> SqlVectors:
    """Return the store of memories, without the check that Mem0's answers go through."""
    return SqlVectors(engine, EMBEDDER.name)


def said(text: str) -> Entry:
    """Return a message of a thread."""
    return Entry(id=f"msg_{text}", kind="user", data={"role": "user", "text": text}, checksum="")


#: all that people ask of the database for one tenant, here with the ids of another
ASKED: dict[str, Callable[[World, Engine], Any]] = {
    "runs": lambda w, e: SqlReads(e).runs(w.me, RunFilter()),
    "chosen runs": lambda w, e: SqlReads(e).runs(w.me, RunFilter(if_="event.data.canary == true")),
    "runs of an event": lambda w, e: SqlReads(e).runs(w.me, RunFilter(event_name="bank/day.ended")),
    "run": lambda w, e: SqlReads(e).run(w.me, w.run),
    "view": lambda w, e: SqlReads(e).view(w.me, w.run),
    "reasons": lambda w, e: SqlReads(e).reasons(
        w.me, [run.id for run in SqlReads(w.engine).runs(w.other, RunFilter()).runs]
    ),
    "event_runs": lambda w, e: SqlReads(e).event_runs(w.me, w.event),
    "functions": lambda w, e: SqlReads(e).functions(w.me),
    "declared": lambda w, e: [(one.name, one.is_paused) for one in SqlReads(e).declared(w.me)],
    "count": lambda w, e: SqlOperations(e).count(w.me, "rerun", RunFilter()),
    "actions": lambda w, e: SqlOperations(e).actions(w.me),
    "action": lambda w, e: SqlOperations(e).action(w.me, w.action),
    "abort": lambda w, e: SqlOperations(e).abort(w.me, w.action),
    "rerun": lambda w, e: SqlOperations(e).rerun(w.me, w.run, Wish()),
    "cancel": lambda w, e: SqlStore(w.engine, walled=e).cancel(w.me, w.waiting).status,
    "signal": lambda w, e: SqlStore(w.engine, walled=e).signal(w.me, "canary", None).is_awaited,
    "memories": lambda w, e: vectors(e).list({"user_id": Scope.of(w.me, "ada").key}),
    "search": lambda w, e: vectors(e).search("", CANARIES, 5, {"user_id": Scope.of(w.me, "ada").key}),
    "thread": lambda w, e: SqlThreads(e).entries(w.me, THREAD, last=9),
    "talk": lambda w, e: SqlThreads(e).append(w.me, THREAD, [said("budgies")]),
    "forget": lambda w, e: SqlThreads(e).delete(w.me, THREAD),
    "signing": lambda w, e: SigningKeys(e, lambda: CIPHER).sign(w.me, b""),
    "memory": lambda w, e: mem0_memories(e, "hashing").delete(w.me, w.memory),
}


def answer(world: World, name: str, engine: Engine) -> str:
    """Return what somebody gets, or which error."""
    try:
        return repr(ASKED[name](world, engine))
    except Exception as error:  # noqa: BLE001  # a database without filters may fail in any way
        return f"{type(error).__name__}: {error}"


@contextmanager
def filters_removed(engine: Engine) -> Iterator[list[str]]:
    """Make each comparison with a tenant true in what the engine executes; yield those that were found."""
    found: list[str] = []

    def strip(*given: Any) -> tuple[str, Any]:
        _, _, statement, parameters, *_ = given
        found.extend(_FILTER.findall(statement))
        return _FILTER.sub(r"(\g<0> OR true)", statement), parameters

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
