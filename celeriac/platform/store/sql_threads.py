"""Threads in SQL. Each statement carries the tenant; the lock of a thread's row gives its entries their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from celeriac.database import db_now, reading, transaction
from celeriac.platform.agents.threads import Entry, no_thread, title_of, too_many_threads
from celeriac.platform.codec import encode
from celeriac.platform.store.thread_tables import messages, threads

_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended('celeriac.threads:' || :tenant_id, 0))")


class SqlThreads:
    """Keeps the threads of all tenants; safe to share between threads of a process."""

    def __init__(self, engine: Engine, most: Callable[[str], int | None] = lambda _: None) -> None:
        """Keep them in this database; `most` tells how many threads a tenant may have, None: any number."""
        self._engine = engine
        self._most = most

    def open(self, tenant_id: str, thread_id: str, *, user_id: str | None = None) -> None:
        """Make the thread where the tenant has none of that id."""
        most = self._most(tenant_id)
        row = {"tenant_id": tenant_id, "id": thread_id, "user_id": user_id, "title": ""}
        with transaction(self._engine, tenant_id) as connection:
            if connection.execute(select(threads.c.id).where(_is(tenant_id, thread_id))).first() is not None:
                return
            if most is not None:
                _refuse_one_more(connection, tenant_id, thread_id, most)
            into = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            made = {**row, "created_at": db_now(), "updated_at": db_now()}
            connection.execute(into(threads).values(made).on_conflict_do_nothing())

    def entries(self, tenant_id: str, thread_id: str, *, last: int, before: int | None = None) -> list[Entry]:
        """Return the newest entries, oldest first."""
        wanted = _said_in(tenant_id, thread_id)
        if before is not None:
            wanted = and_(wanted, messages.c.seq < before)
        statement = select(messages).where(wanted).order_by(messages.c.seq.desc()).limit(last)
        with reading(self._engine, tenant_id) as connection:
            rows = connection.execute(statement).all()
        return [
            Entry(
                id=row.id,
                kind=row.kind,
                agent=row.agent,
                data=json.loads(row.data),
                checksum=row.checksum,
                seq=row.seq,
            )
            for row in reversed(rows)
        ]

    def append(self, tenant_id: str, thread_id: str, entries: Sequence[Entry]) -> None:
        """Keep the entries behind all others, each once."""
        title = case((threads.c.title == "", title_of(entries)), else_=threads.c.title)
        touched = update(threads).where(_is(tenant_id, thread_id)).values(title=title, updated_at=db_now())
        with transaction(self._engine, tenant_id) as connection:
            if connection.execute(touched).rowcount != 1:  # holds the row, so that the next one waits for our places
                raise no_thread(thread_id)
            said = _said_in(tenant_id, thread_id)
            ids = select(messages.c.id).where(said, messages.c.id.in_([one.id for one in entries]))
            known = set(connection.execute(ids).scalars())
            new = list({one.id: one for one in entries if one.id not in known}.values())
            if new:
                highest = select(func.coalesce(func.max(messages.c.seq), 0)).where(said)
                first = connection.execute(highest).scalar_one() + 1
                rows = [_row(tenant_id, thread_id, seq, one) for seq, one in enumerate(new, first)]
                connection.execute(insert(messages).values(rows))

    def delete(self, tenant_id: str, thread_id: str) -> None:
        """Forget the thread with all that was said in it."""
        with transaction(self._engine, tenant_id) as connection:
            # The thread first: who appends holds its row, and meets no thread after us.
            if connection.execute(delete(threads).where(_is(tenant_id, thread_id))).rowcount != 1:
                raise no_thread(thread_id)
            connection.execute(delete(messages).where(_said_in(tenant_id, thread_id)))


def _refuse_one_more(connection: Connection, tenant_id: str, thread_id: str, most: int) -> None:
    """Raise `LimitError` where the tenant has as many threads as it may; those who make one take turns."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(_TURN, {"tenant_id": tenant_id})
    others = select(threads.c.id).where(threads.c.tenant_id == tenant_id, threads.c.id != thread_id).limit(most)
    if connection.execute(select(func.count()).select_from(others.subquery())).scalar_one() >= most:
        raise too_many_threads(most)


def _is(tenant_id: str, thread_id: str) -> ColumnElement[bool]:
    return and_(threads.c.tenant_id == tenant_id, threads.c.id == thread_id)


def _said_in(tenant_id: str, thread_id: str) -> ColumnElement[bool]:
    return and_(messages.c.tenant_id == tenant_id, messages.c.thread_id == thread_id)


def _row(tenant_id: str, thread_id: str, seq: int, entry: Entry) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "thread_id": thread_id,
        "id": entry.id,
        "seq": seq,
        "kind": entry.kind,
        "agent": entry.agent,
        "data": encode(entry.data),
        "checksum": entry.checksum,
        "created_at": db_now(),
    }
