"""Signals in SQL: each is given to the wait that has it, once, under the lock under which such a wait begins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, select

from celeriac.database import transaction
from celeriac.ids import new_id
from celeriac.platform.durable.matching import SIGNALLED, signal_event
from celeriac.platform.durable.store import Signalled
from celeriac.platform.event import signal_name
from celeriac.platform.store.sql_counting import insert_events
from celeriac.platform.store.sql_part import SqlPart, lock_names
from celeriac.platform.store.sql_waking import WaitKey, resolve
from celeriac.platform.store.tables import waits

_WAITING = select(waits.c.run_id, waits.c.path, waits.c.number).where(
    waits.c.tenant_id == bindparam("of_tenant"),
    waits.c.event_name == bindparam("with_name"),
    waits.c.kind.in_(SIGNALLED),
    waits.c.resolved_at.is_(None),
)


class SqlSignals(SqlPart):
    """The part of the store that signals come in by."""

    def signal(self, tenant_id: str, name: str, data: Any, *, id: str | None = None) -> Signalled:
        event = signal_event(id or new_id("evt"), name, data)
        with transaction(self._walled, tenant_id) as connection:
            now = lock_names(connection, {(tenant_id, event.name)}, "exclusive")
            if id is not None and (taken_by := _taken_by(connection, tenant_id, id)) is not None:
                return Signalled(run_id=taken_by)
            names = {"of_tenant": tenant_id, "with_name": signal_name(name)}
            found = connection.execute(_WAITING, names).first()
            if found is None:
                return Signalled()
            key: WaitKey = (found.run_id, found.path, found.number)
            queued = resolve(connection, {key: event.id})
            if _taken_by(connection, tenant_id, event.id) is None:
                return Signalled()  # its run has just ended
            row = {"id": event.id, "tenant_id": tenant_id, "name": event.name, "data": event.data, "ts": now}
            insert_events(connection, [{**row, "received_at": now, "is_internal": True, "matched_at": now}])
            return Signalled(run_id=found.run_id, queued=queued)


def _taken_by(connection: Connection, tenant_id: str, event_id: str) -> str | None:
    """Return the run that was given the signal with this event; None where nobody was."""
    taken = select(waits.c.run_id).where(waits.c.event_id == event_id, waits.c.tenant_id == tenant_id)
    return connection.execute(taken).scalar()
