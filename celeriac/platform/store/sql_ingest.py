"""Events in SQL: taking them in, and starting, waking and cancelling what they are for.

An event is stored together with all that it sets going, or not at all. Events that steps, endings and crons insert are
matched after their commit by `match_pending`. Both hold the lock of (tenant, event name) shared while they match. Where
no rule asks for a key, events and runs go to Postgres in one statement between the opening and the COMMIT.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from celeriac.database import NOW, from_micros, opened, reading, to_micros, transaction
from celeriac.errors import NotFoundError
from celeriac.ids import new_id
from celeriac.platform.codec import encode
from celeriac.platform.durable.declared import Arrival, Declared
from celeriac.platform.durable.event_check import CheckedEvent
from celeriac.platform.durable.matching import visible
from celeriac.platform.durable.starting import Plan, keys_of
from celeriac.platform.durable.store import Accepted, Ingested
from celeriac.platform.event import Event
from celeriac.platform.store.sql_answers import Answer, answered
from celeriac.platform.store.sql_cancelling import end_or_flag
from celeriac.platform.store.sql_crons import DUE, tick
from celeriac.platform.store.sql_declarations import REVISION, SqlDeclarations
from celeriac.platform.store.sql_part import lock_text, text_array
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.sql_starting import RUNS_ON_POSTGRES, begin, complete, run_columns, standing_for
from celeriac.platform.store.sql_waking import resolve
from celeriac.platform.store.tables import events

#: how long a sender's id is remembered
DEDUPE = timedelta(hours=24)

#: how many events of a tick are matched in one transaction
_PAGE = 500

_OPENING = {name: f"SELECT {NOW[name]}, {REVISION}" for name in ("sqlite", "postgresql")}

_EVENTS_ON_POSTGRES = """
INSERT INTO events (id, tenant_id, name, data, sender_id, ts, target, received_at, is_internal, matched_at)
SELECT e.id, o.tenant_id, e.name, e.data, e.sender_id, e.ts, o.target, o.now, false, o.now
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]) AS e (id, name, data, sender_id, ts),
     (SELECT %s::text AS tenant_id, %s::text AS target, %s::bigint AS now) AS o
ON CONFLICT DO NOTHING
RETURNING id"""

#: also says whether any run waits for an event of one of the names
_AT_ONCE = f"""
WITH event AS ({_EVENTS_ON_POSTGRES}),
run AS ({RUNS_ON_POSTGRES.format(of="JOIN event ON event.id = r.event_id")})
SELECT event.id, EXISTS (
    SELECT FROM waits WHERE tenant_id = %s AND event_name = ANY(%s::text[]) AND resolved_at IS NULL
) FROM event"""

_EVENT_ON_SQLITE = """
INSERT INTO events (id, name, data, sender_id, ts, tenant_id, target, received_at, is_internal, matched_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, false, ?)
ON CONFLICT DO NOTHING
RETURNING id"""

#: what somebody may start or wait for is read whole; of other endings, whose output may be large, the row is enough
_PENDING = select(events.c.id, events.c.tenant_id, events.c.name).where(events.c.matched_at.is_(None))


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """An event that comes from outside, with the text of its data."""

    arrival: Arrival
    text: str
    sender_id: str | None

    @property
    def key(self) -> str:
        """What tells it from other events of its tenant."""
        return self.sender_id or self.arrival.id


class SqlIngest(SqlDeclarations):
    """The part of the store that events come in by."""

    def ingest(self, tenant_id: str, given: Sequence[Event], *, target: str | None = None) -> Ingested:
        if not given:
            return Ingested()
        with self._opened({(tenant_id, event.name) for event in given}) as (connection, now, declared):
            if target is not None and target not in declared.functions:
                raise NotFoundError(f"There is no function {target!r}; is a worker with it running?")
            came = [_incoming(tenant_id, event, now, target) for event in given]
            once: dict[str, Incoming] = {}
            for one in came:
                once.setdefault(one.key, one)
            # In the order of the senders' ids, so that two senders of the same events wait for each other in one
            # direction.
            new = sorted(once.values(), key=lambda one: one.sender_id or "")
            first = {one.key: one.arrival.id for one in new}
            ingested = self._take(connection, declared, new, now)
            missing = [one for one in new if one.arrival.id not in ingested.stored]
            if missing:
                known = _known(connection, tenant_id, [one.sender_id for one in missing], now)
                first |= known
                freed = [one for one in missing if one.sender_id not in known]
                ingested += self._take_by_rules(connection, declared, freed, now)
        accepted = [Accepted(id=first[one.key], name=one.arrival.name, is_duplicate=first[one.key] != one.arrival.id) for one in came]
        return Ingested(accepted=accepted, queued=ingested.queued, ended=ingested.ended)
