"""Answers in SQL: which open waits the events are for that have just come.

An event looks only at the waits that match nothing, and at those that match a value that it has: they are found by
`match_key`, however many others stand under the same name. What is found is decided on by `matching.py` alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, select, union_all

from celeriac.platform.durable.declared import Arrival
from celeriac.platform.durable.matching import answers, fits, match_keys_in, names_of, visible
from celeriac.platform.durable.memo import Wait, WaitKind
from celeriac.platform.store.sql_rows import WAIT, wait_of
from celeriac.platform.store.sql_waking import WaitKey
from celeriac.platform.store.tables import events, runs, waits

T = TypeVar("T")

#: with more keys than that, all waits of the name are read: the statement would grow too long
_MOST_KEYS = 4_096

_SIZES = (1, 8, 64, 512, _MOST_KEYS)

_STANDING = select(*WAIT, waits.c.run_id, waits.c.tenant_id).where(
    waits.c.tenant_id.in_(bindparam("tenants", expanding=True)),
    waits.c.event_name.in_(bindparam("names", expanding=True)),
    waits.c.resolved_at.is_(None),
)

_STANDING_FOR_VALUES = union_all(
    _STANDING.where(waits.c.match_key.is_(None)),
    _STANDING.where(waits.c.match_key.in_(bindparam("match_keys", expanding=True))),
)

_OWN = (
    select(runs.c.id.label("of_run"), events.c.name, events.c.data, events.c.sender_id, events.c.id, events.c.ts)
    .join(events, events.c.id == runs.c.event_id)
    .where(runs.c.id.in_(bindparam("run_ids", expanding=True)))
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An open wait, and the first event that it is for."""

    key: WaitKey
    kind: WaitKind
    event_id: str


def answered(connection: Connection, arrivals: Sequence[Arrival]) -> list[Answer]:
    """Return the open waits that one of the events is for."""
    by_name: defaultdict[tuple[str, str], list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        for name in names_of(arrival.visible):
            by_name[arrival.tenant_id, name].append(arrival)
    found: list[tuple[WaitKey, Wait, list[Arrival]]] = []
    for row in _standing(connection, by_name, arrivals):
        wait = wait_of(row)
        came = by_name.get((row.tenant_id, row.event_name), ())
        if fitting := [one for one in came if fits(wait, one.visible, one.received_at)]:
            found.append(((row.run_id, row.path, row.number), wait, fitting))
    own = own_events(connection, {key[0] for key, wait, _ in found if wait.condition is not None})
    decided = ((key, wait, _first(wait, fitting, own.get(key[0], {}))) for key, wait, fitting in found)
    return [Answer(key=key, kind=wait.kind, event_id=first.id) for key, wait, first in decided if first is not None]


def own_events(connection: Connection, run_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the events of these runs, as conditions see them."""
    ids = sorted(run_ids)
    own: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(ids), _MOST_KEYS):
        for row in connection.execute(_OWN, {"run_ids": _padded(ids[start : start + _MOST_KEYS])}):
            own[row.of_run] = visible(row.name, json.loads(row.data), row.sender_id or row.id, row.ts)
    return own


def _standing(
    connection: Connection, by_name: Mapping[tuple[str, str], Any], arrivals: Sequence[Arrival]
) -> Sequence[Any]:
    names = {
        "tenants": sorted({tenant_id for tenant_id, _ in by_name}),
        "names": _padded(sorted({name for _, name in by_name})),
    }
    keys: set[int] = set()
    for arrival in arrivals:
        of_event = match_keys_in(arrival.visible)
        if of_event is None or len(keys) + len(of_event) > _MOST_KEYS:
            return connection.execute(_STANDING, names).all()
        keys |= of_event
    return connection.execute(_STANDING_FOR_VALUES, {**names, "match_keys": _padded(sorted(keys))}).all()


def _first(wait: Wait, fitting: Sequence[Arrival], own: Mapping[str, Any]) -> Arrival | None:
    return next((one for one in fitting if answers(wait, one.visible, one.received_at, own=own)), None)


def _padded(values: list[T]) -> list[T]:
    """Repeat the last value until there are 1, 8, 64, … of them: few statements to plan, whatever the number."""
    size = next((size for size in _SIZES if size >= len(values)), 0)
    return [*values, *values[-1:] * (size - len(values))]
