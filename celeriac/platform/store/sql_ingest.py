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
