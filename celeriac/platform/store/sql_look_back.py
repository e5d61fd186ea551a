"""Looking back in SQL: whether an event that a wait is for has come before the wait.

What is old is read page by page, without a lock and without holding a connection between two pages: there may be very
many events of a name. Under the lock of the name, by which `sql_waits.py` registers the wait, only those are read that
may have been missed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, bindparam, or_, select

from celeriac.database import Moment, reading, transaction
from celeriac.platform.durable.matching import answers, visible, visible_event
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Claim
from celeriac.platform.store.sql_part import lock_names
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.tables import events

_MICROSECOND = timedelta(microseconds=1)

#: how many events are read at a time
_PAGE_SIZE = 500

#: by how much the database's clock may be set back meanwhile
_OVERLAP = timedelta(seconds=10)

_CAME = (
    select(events)
    .where(events.c.tenant_id == bindparam("of_tenant"), events.c.name == bindparam("with_name"))
    .order_by(events.c.received_at)
)

_since = bindparam("since", type_=Moment)
_PAGE = _CAME.where(events.c.received_at >= _since).limit(_PAGE_SIZE)

#: events of one request were received at one time, and stand in their order
_TOGETHER = _CAME.where(events.c.received_at == _since)

#: An event that a step sent is received before its transaction ends, and matched after that under the lock of its name.
_seen = bindparam("seen_until", type_=Moment)
_REST = _CAME.where(
    events.c.received_at >= _since,
    or_(events.c.received_at >= _seen, events.c.matched_at >= _seen, events.c.matched_at.is_(None)),
).execution_options(yield_per=_PAGE_SIZE)


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a look at the old events came to."""

    #: the first event that the wait is for
    came: AnyRow | None
    #: all that had come by then was seen
    until: datetime


def look_at_old(engine: Engine, claim: Claim, wait: Wait, span: timedelta) -> Looked:
    """Look at the events of so long ago until now; the caller holds no lock."""
    with transaction(engine) as connection:  # whoever takes in an event of the name ends before, or begins after that
        until = lock_names(connection, {(claim.run.tenant_id, wait.event_name or "")}, "exclusive")
    looking = replace(wait, since=until - span, resolved_at=None, event=None)
    came = next((row for page in _pages(engine, claim, looking) if (row := _first(page, claim, looking))), None)
    return Looked(came=came, until=until)


def look_at_rest(connection: Connection, claim: Claim, wait: Wait, seen_until: datetime) -> AnyRow | None:
    """Return the first event since `wait.since` that the wait is for, of those that a look until then has missed.

    The connection holds the lock of the name.
    """
    names = {"of_tenant": claim.run.tenant_id, "with_name": wait.event_name}
    with connection.execute(_REST, {**names, "since": wait.since, "seen_until": seen_until - _OVERLAP}) as found:
        return _first(found, claim, wait)


def _pages(engine: Engine, claim: Claim, wait: Wait) -> Iterator[Sequence[AnyRow]]:
    names = {"of_tenant": claim.run.tenant_id, "with_name": wait.event_name}
    since, goes_on = wait.since, True
    while goes_on:
        with reading(engine) as connection:
            page = connection.execute(_PAGE, {**names, "since": since}).all()
            goes_on = len(page) == _PAGE_SIZE
            if goes_on:  # the last ones may have come together with others that are not on the page
                last = page[-1].received_at
                before = [row for row in page if row.received_at < last]
                page = before or connection.execute(_TOGETHER, {**names, "since": last}).all()
                since = page[-1].received_at + _MICROSECOND
        yield page


def _first(found: Iterable[AnyRow], claim: Claim, wait: Wait) -> AnyRow | None:
    own = visible_event(claim.event)
    for row in found:
        shown = visible(row.name, json.loads(row.data), row.sender_id or row.id, row.ts)
        if answers(wait, shown, row.received_at, own=own):
            return row
    return None
