"""The quota on queued runs in SQL: exact, because senders of a tenant that has one take turns; no others pay for it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.quota import too_many_queued
from celeriac.platform.store.sql_part import exclusive_text
from celeriac.platform.store.tables import runs

#: how long a sender waits for its turn in this process
_PATIENCE_SECONDS = 5.0

#: the senders of a tenant line up here before they take a connection, or one tenant's would hold them all
_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@contextmanager
def in_turn(tenant_id: str, most: int | None) -> Iterator[None]:
    """Be the only sender of the tenant in this process where it has a quota."""
    if most is None:
        yield
        return
    turn = _turns[tenant_id]
    if not turn.acquire(timeout=_PATIENCE_SECONDS):
        raise StoreUnavailable("Too many send for this tenant at once; try again")
    try:
        yield
    finally:
        turn.release()


def turn_text(tenant_id: str) -> str:
    """Return the statement by which a transaction on Postgres waits for its turn among those of the tenant.

    It comes before the locks of events' names, and nobody who holds one of those asks for it.
    """
    return exclusive_text(("queued runs", tenant_id))


def refuse_too_many(connection: Connection, tenant_id: str, most: int) -> None:
    """Raise `RefusedError` where the tenant has more queued runs than it may, those of this transaction among them."""
    queued = select(runs.c.id).where(runs.c.tenant_id == tenant_id, runs.c.status == "queued").limit(most + 1)
    if connection.execute(select(func.count()).select_from(queued.subquery())).scalar_one() > most:
        raise too_many_queued(most)
