"""Run filters in SQL: the conditions that a database can look at, and the runs that the expression is asked about.

Lists and bulk actions go through the runs of a tenant by them, in the order of their creation. Of what may be large,
the outputs of runs and the data of events, only that is read which the expression speaks of.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, false, literal_column, null, or_, select

from celeriac.database import from_micros, to_micros
from celeriac.platform.durable.matching import visible
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.run import MOVES, Status
from celeriac.platform.store.sql_rows import AnyRow, run_of
from celeriac.platform.store.tables import STANDING_OUT, events, runs

#: a place among the runs of a tenant
Place = tuple[datetime, str]

#: apart from the event that an expression is asked about
_NAMED = events.alias("named_events")

_OF_EVENT = (
    events.c.name.label("event_name"),
    events.c.sender_id.label("event_sender_id"),
    events.c.ts.label("event_ts"),
)


def conditions(tenant_id: str, where: RunFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter without its expression."""
    found = [runs.c.tenant_id == tenant_id]
    if where.status is not None:
        found += _of_status(where.status)
    for name in ("app", "function_id", "event_id"):
        if (wanted := getattr(where, name)) is not None:
            found.append(runs.c[name] == wanted)
    if where.event_name is not None:
        of_name = select(_NAMED.c.id).where(_NAMED.c.id == runs.c.event_id, _NAMED.c.name == where.event_name)
        found.append(of_name.exists())
    if where.created_after is not None:
        found.append(runs.c.created_at >= where.created_after)
    if where.created_before is not None:
        found.append(runs.c.created_at < where.created_before)
    return found


def _of_status(status: Status) -> list[ColumnElement[bool]]:
    """Return the conditions of a status; partial indexes are found by values that are written out."""
    if status not in MOVES:
        return [false()]
    found: list[ColumnElement[bool]] = [runs.c.status == literal_column(f"'{status}'")]
    if status in STANDING_OUT:
        found.append(runs.c.status.in_([literal_column(f"'{one}'") for one in STANDING_OUT]))
    if status == "running":
        found.append(runs.c.worker_id.is_not(None))
    return found


def behind(place: Place) -> ColumnElement[bool]:
    """Return the condition of runs that are newer than the place."""
    at, run_id = place
    return and_(runs.c.created_at >= at, or_(runs.c.created_at > at, runs.c.id > run_id))


def before(place: Place) -> ColumnElement[bool]:
    """Return the condition of runs that are older than the place."""
    at, run_id = place
    return and_(runs.c.created_at <= at, or_(runs.c.created_at < at, runs.c.id < run_id))


def looked_at(where: RunFilter) -> Select[*tuple[Any, ...]]:
    """Select runs with what the filter's expression may speak of; `is_chosen` takes their rows."""
    text = where.if_ or ""
    columns = [null().label("output") if one.name == "output" and "output" not in text else one for one in runs.c]
    data = (events.c.data if "data" in text else null()).label("event_data")
    if where.if_ is None:
        return select(*columns)
    return select(*columns, *_OF_EVENT, data).select_from(
        runs.outerjoin(events, and_(events.c.id == runs.c.event_id, events.c.tenant_id == runs.c.tenant_id))
    )


def chunks_before(
    connection: Connection, statement: Select[*tuple[Any, ...]], place: Place | None, *, size: int
) -> Iterator[Sequence[AnyRow]]:
    """Go through runs from the newest on, so many at a time; the last chunk is shorter, or empty."""
    while True:
        narrowed = statement if place is None else statement.where(before(place))
        rows = connection.execute(narrowed.order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(size)).all()
        yield rows
        if len(rows) < size:
            return
        place = place_of(rows[-1])


def is_chosen(where: RunFilter, row: AnyRow) -> bool:
    """Say whether the filter's expression is true of the run."""
    return where.if_ is None or where.holds_for(run_of(row), _event_of(row))


def place_of(row: AnyRow) -> Place:
    """Return the place of a run."""
    return row.created_at, row.id


def encode_place(place: Place) -> str:
    """Write a place as the text of a cursor."""
    at, run_id = place
    text = json.dumps([to_micros(at), run_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_place(cursor: str) -> Place:
    """Read back a cursor; raise `ValueError` for one that this file has not written."""
    try:
        micros, run_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError, TypeError) as error:
        raise ValueError(f"{cursor[:40]!r} is no cursor; take it from a page's next_cursor") from error
    if not (
        isinstance(micros, int)
        and abs(micros) < 2**53
        and isinstance(run_id, str)
        and run_id.isascii()
        and run_id.isprintable()
    ):
        raise ValueError(f"{cursor[:40]!r} is no cursor; take it from a page's next_cursor")
    return from_micros(micros), run_id


def _event_of(row: AnyRow) -> Mapping[str, Any] | None:
    if row.event_name is None:
        return None
    data = {} if row.event_data is None else json.loads(row.event_data)
    return visible(row.event_name, data, row.event_sender_id or row.event_id, row.event_ts)
