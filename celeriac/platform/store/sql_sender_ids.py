"""Senders' ids in SQL: by them a second event is known for the first one, for a day.

Called inside the transaction of ingest. An id that is older is given free before anything else is locked, and that
only where an event comes with it: `OldIds` says so, and lets ingest begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from celeriac.platform.store.sql_part import among
from celeriac.platform.store.tables import events

#: how long a sender's id is remembered
DEDUPE = timedelta(hours=24)


class OldIds(Exception):
    """Some of the ids have to be given free first."""


def known_events(connection: Connection, tenant_id: str, sender_ids: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the first events of those of the ids that are not older than a day."""
    theirs = (events.c.tenant_id == tenant_id, among(events.c.sender_id, sender_ids))
    known = select(events.c.sender_id, events.c.id).where(*theirs, events.c.received_at > now - DEDUPE)
    return {row.sender_id: row.id for row in connection.execute(known)}


def give_free(connection: Connection, tenant_id: str, sender_ids: Sequence[str], now: datetime) -> None:
    """Forget those of the ids that are older than a day; their rows are locked in one order."""
    theirs = (events.c.tenant_id == tenant_id, among(events.c.sender_id, sender_ids))
    old = select(events.c.id).where(*theirs, events.c.received_at <= now - DEDUPE).order_by(events.c.sender_id)
    ids = connection.execute(old.with_for_update()).scalars().all()
    connection.execute(update(events).where(among(events.c.id, ids)).values(sender_id=None))
