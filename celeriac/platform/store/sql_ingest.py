"""Events in SQL: taking them in, and starting, waking and cancelling what they are for.

An event is stored together with all that it sets going, or not at all. Events that steps, endings and crons insert are
matched after their commit by `match_pending`. Both hold the lock of (tenant, event name) shared while they match. Where
no rule asks for a key, events and runs go to Postgres in one statement between the opening and the COMMIT.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, or_, select, update

from celeriac.database import NOW, db_now, from_micros, opened, reading, straight, to_micros, transaction
from celeriac.errors import NotFoundError, StoreUnavailable
from celeriac.ids import new_id
from celeriac.platform.codec import encode, utf8_size
from celeriac.platform.durable.declared import Arrival, Declared
from celeriac.platform.durable.event_check import CheckedEvent
from celeriac.platform.durable.matching import visible
from celeriac.platform.durable.run_keys import keys_of
from celeriac.platform.durable.starting import Plan, Start
from celeriac.platform.durable.store import Accepted, Ingested
from celeriac.platform.event import Event, ended_name
from celeriac.platform.store.sql_answers import answered
from celeriac.platform.store.sql_counting import COUNTED_EVENTS, COUNTED_STARTS, Counted, count
from celeriac.platform.store.sql_crons import DUE, tick
from celeriac.platform.store.sql_declarations import REVISION, SqlDeclarations
from celeriac.platform.store.sql_matching import Outcome, PassedOver, match, wake
from celeriac.platform.store.sql_part import lock_text, text_array
from celeriac.platform.store.sql_quota import in_turn, refuse_too_many, turn_text
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.sql_sender_ids import OldIds, give_free, known_events
from celeriac.platform.store.sql_starting import RUNS_ON_POSTGRES, complete, run_columns
from celeriac.platform.store.tables import events, waits

log = logging.getLogger(__name__)

#: how many events of a tick are matched in one transaction
_PAGE = 500

_EVENTS_ON_POSTGRES = """
INSERT INTO events (id, tenant_id, name, data, sender_id, ts, target, received_at, is_internal, matched_at)
SELECT e.id, o.tenant_id, e.name, e.data, e.sender_id, e.ts, o.target, o.now, false, o.now
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]) AS e (id, name, data, sender_id, ts),
     (SELECT %s::text AS tenant_id, %s::text AS target, %s::bigint AS now) AS o
ON CONFLICT DO NOTHING
RETURNING id, tenant_id, octet_length(data) AS size"""

_STORE_ON_POSTGRES = f"WITH event AS ({_EVENTS_ON_POSTGRES}),{COUNTED_EVENTS} SELECT id FROM event"

#: Says whether any run waits for an event of one of the names. The order is that of the index, without which Postgres
#: may read all waits of a tenant that has many.
_AND_AWAITED = """
SELECT event.id, EXISTS (
    SELECT FROM (SELECT %s::text AS tenant_id, unnest(%s::text[]) AS name) AS n, LATERAL (
        SELECT FROM waits w WHERE w.tenant_id = n.tenant_id AND w.event_name = n.name AND w.resolved_at IS NULL
        ORDER BY w.match_key LIMIT 1
    ) AS one
) FROM event"""

_EVENTS_ALONE = f"WITH event AS ({_EVENTS_ON_POSTGRES}),{COUNTED_EVENTS}{_AND_AWAITED}"

_AT_ONCE = f"""
WITH event AS ({_EVENTS_ON_POSTGRES}),
run AS ({RUNS_ON_POSTGRES.format(of="JOIN event ON event.id = r.event_id")}),{COUNTED_STARTS},{COUNTED_EVENTS}
{_AND_AWAITED}"""

_EVENT_ON_SQLITE = """
INSERT INTO events (id, name, data, sender_id, ts, tenant_id, target, received_at, is_internal, matched_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, false, ?)
ON CONFLICT DO NOTHING"""

_PENDING = (
    select(events.c.id, events.c.tenant_id, events.c.name)
    .where(events.c.matched_at.is_(None), events.c.id.not_in(bindparam("passed_over", expanding=True)))
    .order_by(events.c.received_at)
    .limit(bindparam("most"))
)

_PENDING_OF = _PENDING.where(events.c.id.in_(bindparam("ids", expanding=True)))


def _first_wait(name: ColumnElement[str]) -> ColumnElement[str | None]:
    """Return a wait for the event under this name, found in the order of the index as above."""
    return (
        select(waits.c.run_id)
        .where(waits.c.tenant_id == events.c.tenant_id, waits.c.event_name == name, waits.c.resolved_at.is_(None))
        .order_by(waits.c.match_key)
        .limit(1)
        .correlate(events)
        .scalar_subquery()
    )


#: whether any run waits for the event, under its own name or that of the end of its run
_IS_AWAITED = or_(
    _first_wait(events.c.name).is_not(None),
    _first_wait(ended_name("") + func.coalesce(events.c.run_id, "")).is_not(None),
)

#: Takes the events that nobody else is matching. What nothing starts or waits for is not read: the data of endings may
#: be large.
_MARK = (
    update(events)
    .where(
        events.c.id.in_(
            select(events.c.id)
            .where(events.c.id.in_(bindparam("ids", expanding=True)), events.c.matched_at.is_(None))
            .with_for_update(skip_locked=True)
        )
    )
    .values(matched_at=db_now())
    .returning(
        *(column for column in events.c if column.name != "data"),
        case(
            (
                or_(
                    events.c.target.is_not(None),
                    events.c.name.in_(bindparam("starting", expanding=True)),
                    _IS_AWAITED,
                ),
                events.c.data,
            )
        ).label("data"),
    )
)


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

    @cached_property
    def _unmatched(self) -> PassedOver:
        return PassedOver()

    def ingest(
        self, tenant_id: str, given: Sequence[Event], *, target: str | None = None, most_queued: int | None = None
    ) -> Ingested:
        if not given:
            return Ingested()
        with in_turn(tenant_id, most_queued):
            try:
                return self._ingest(tenant_id, given, target, most_queued)
            except OldIds:
                return self._ingest(tenant_id, given, target, most_queued, gives_free=True)

    def _ingest(
        self,
        tenant_id: str,
        given: Sequence[Event],
        target: str | None,
        most_queued: int | None,
        *,
        gives_free: bool = False,
    ) -> Ingested:
        """Store the events, all or none; raise `OldIds` where some of their ids have to be given free first."""
        names = {(tenant_id, event.name) for event in given}
        turn_of = None if most_queued is None else tenant_id
        with self._opened(names, turn_of=turn_of) as (connection, now, declared):
            if target is not None and target not in declared.functions:
                raise NotFoundError(f"There is no function {target!r}; does a worker run an app with it?")
            came = [_incoming(tenant_id, event, now, target) for event in given]
            once: dict[str, Incoming] = {}
            for one in came:
                once.setdefault(one.key, one)
            # In the order of the senders' ids, so that two senders of the same events wait for each other in one
            # direction.
            new = sorted(once.values(), key=lambda one: one.sender_id or "")
            first = {one.key: one.arrival.id for one in new}
            outcome = Outcome()
            if gives_free:
                give_free(connection, tenant_id, list(first), now)
            self._take(connection, declared, new, outcome)
            if missing := [one.key for one in new if one.arrival.id not in outcome.stored]:
                known = known_events(connection, tenant_id, missing, now)
                if len(known) < len(missing) and not gives_free:
                    raise OldIds
                first |= known
            if most_queued is not None and not all(run.is_resume for run in outcome.queued):
                refuse_too_many(connection, tenant_id, most_queued)
        accepted = [
            Accepted(id=first[one.key], name=one.arrival.name, is_duplicate=first[one.key] != one.arrival.id)
            for one in came
        ]
        return Ingested(accepted=accepted, queued=outcome.queued, ended=outcome.ended)

    def match_pending(self, event_ids: Sequence[str] | None = None, *, most: int = 100) -> Ingested:
        pending, named = (_PENDING, {}) if event_ids is None else (_PENDING_OF, {"ids": list(event_ids)})
        with reading(self._engine) as connection:  # mostly there are none, and a look takes no lock
            passed_over = self._unmatched.current()
            found = connection.execute(pending, {"most": most, "passed_over": passed_over, **named}).all()
        return self._match_all(found) if found else Ingested()

    def _match_all(self, found: Sequence[AnyRow]) -> Ingested:
        """Match events together; where that fails each by itself, so that one holds up no others."""
        try:
            return self._match_together(found)
        except StoreUnavailable:
            raise
        except Exception:
            if len(found) == 1:
                self._unmatched.note(found[0].id)
                log.exception("Event %s cannot be matched; it is tried again in a minute", found[0].id)
                return Ingested()
        matched = Ingested()
        for row in found:
            _add(matched, self._match_all([row]))
        return matched

    def _match_together(self, found: Sequence[AnyRow]) -> Ingested:
        outcome, names = Outcome(), {row.name for row in found}
        with self._opened({(row.tenant_id, row.name) for row in found}) as (connection, now, declared):
            starting = [name for name in names if declared.has_triggers(name)]
            rows = connection.execute(_MARK, {"ids": [row.id for row in found], "starting": starting}).all()
            rows = sorted(rows, key=lambda row: (row.received_at, row.id))
            arrivals = [_arrival(row) for row in rows if row.data is not None]
            match(connection, declared, arrivals, now, outcome)
        accepted = [Accepted(id=row.id, name=row.name) for row in rows]
        return Ingested(accepted=accepted, queued=outcome.queued, ended=outcome.ended)

    def fire_crons(self, *, most: int = 100) -> Ingested:
        with reading(self._engine) as connection:  # mostly none is due, and a look takes no lock
            if connection.execute(DUE).first() is None:
                return Ingested()
        tenants = self._tenants()
        with transaction(self._engine) as connection:
            ids = tick(connection, tenants, most)
        fired = Ingested()
        for start in range(0, len(ids), _PAGE):
            _add(fired, self.match_pending(ids[start : start + _PAGE], most=_PAGE))
        return fired

    @contextmanager
    def _opened(
        self, names: Iterable[tuple[str, str]], *, turn_of: str | None = None
    ) -> Iterator[tuple[Connection, datetime, Declared]]:
        """Open a transaction under the shared locks of these names, with its time and what is declared then.

        With `turn_of` it is the only one of that tenant for as long as it lasts.
        """
        opening = f"SELECT {NOW[self._engine.dialect.name]}, {REVISION}"
        if self._is_postgres:
            turn = "" if turn_of is None else f"{turn_text(turn_of)}; "
            opening = f"{turn}{lock_text(names)}; {opening}"
        with opened(self._engine, opening) as (connection, (micros, revision)):
            yield connection, from_micros(micros), self._declared_at(connection, revision)

    def _take(self, connection: Connection, declared: Declared, new: Sequence[Incoming], outcome: Outcome) -> None:
        """Store events and what they set going; at once, where no key has to be looked up first."""
        if not self._is_postgres or (declared.has_rules and any(keys_of(one.arrival, declared) for one in new)):
            self._take_by_rules(connection, declared, new, outcome)
            return
        now = new[0].arrival.received_at
        plan = Plan(declared, now)
        for one in new:
            plan.take(one.arrival)
        stored, is_awaited = _store_at_once(connection, new, list(plan.starts.values()))
        outcome.stored |= stored
        arrivals = [one.arrival for one in new if one.arrival.id in stored]
        answers = answered(connection, arrivals) if is_awaited else []
        begun = {start.run_id for start in plan.starts.values() if start.arrival.id in stored}
        outcome.queued += complete(connection, plan, begun, now)
        wake(connection, arrivals, answers, outcome)

    def _take_by_rules(
        self, connection: Connection, declared: Declared, new: Sequence[Incoming], outcome: Outcome
    ) -> None:
        stored = _store(connection, new)
        outcome.stored |= stored
        arrivals = [one.arrival for one in new if one.arrival.id in stored]
        match(connection, declared, arrivals, new[0].arrival.received_at, outcome)


def _add(to: Ingested, more: Ingested) -> None:
    to.accepted.extend(more.accepted)
    to.queued.extend(more.queued)
    to.ended.extend(more.ended)


def _incoming(tenant_id: str, event: Event, now: datetime, target: str | None) -> Incoming:
    id, ts = new_id("evt"), event.ts or now
    text = event.text if isinstance(event, CheckedEvent) else encode({} if event.data is None else event.data)
    data = event.data if isinstance(event, CheckedEvent) else json.loads(text)
    return Incoming(
        arrival=Arrival(
            id=id,
            tenant_id=tenant_id,
            visible=visible(event.name, data, event.id or id, ts),
            ts=ts,
            received_at=now,
            size=len(text),
            target=target,
        ),
        text=text,
        sender_id=event.id,
    )


def _arrival(row: AnyRow) -> Arrival:
    return Arrival(
        id=row.id,
        tenant_id=row.tenant_id,
        visible=visible(row.name, json.loads(row.data), row.sender_id or row.id, row.ts),
        ts=row.ts,
        received_at=row.received_at,
        size=len(row.data),
        is_internal=bool(row.is_internal),
        target=row.target,
        sender=row.run_id,
    )


def _event_columns(new: Sequence[Incoming]) -> list[tuple[object, ...]]:
    return [(one.arrival.id, one.arrival.name, one.text, one.sender_id, to_micros(one.arrival.ts)) for one in new]


def _store_at_once(connection: Connection, new: Sequence[Incoming], starts: Sequence[Start]) -> tuple[set[str], bool]:
    """Insert events with the runs that they start; return the ids of the new ones, and whether any may be awaited."""
    first = new[0].arrival
    now = to_micros(first.received_at)
    names = sorted({one.arrival.name for one in new})
    of_events = [text_array(column) for column in zip(*_event_columns(new), strict=True)]
    common = (first.tenant_id, first.target, now)
    awaited = (first.tenant_id, text_array(names))
    if starts:
        of_runs = [text_array(column) for column in zip(*run_columns(starts, first.received_at), strict=True)]
        rows = connection.exec_driver_sql(_AT_ONCE, (*of_events, *common, *of_runs, *awaited)).all()
    else:
        rows = connection.exec_driver_sql(_EVENTS_ALONE, (*of_events, *common, *awaited)).all()
    return {row[0] for row in rows}, any(row[1] for row in rows)


def _store(connection: Connection, new: Sequence[Incoming]) -> set[str]:
    """Insert events; return the ids of those that were new."""
    first = new[0].arrival
    now = to_micros(first.received_at)
    if connection.dialect.name == "postgresql":
        columns = [text_array(column) for column in zip(*_event_columns(new), strict=True)]
        found = connection.exec_driver_sql(_STORE_ON_POSTGRES, (*columns, first.tenant_id, first.target, now))
        return set(found.scalars())
    common = (first.tenant_id, first.target, now, now)
    with straight(connection) as cursor:
        rows = zip(new, _event_columns(new), strict=True)
        stored = [one for one, row in rows if cursor.execute(_EVENT_ON_SQLITE, (*row, *common)).rowcount]
    count(connection, [Counted(tenant_id=first.tenant_id, bytes=utf8_size(one.text)) for one in stored])
    return {one.arrival.id for one in stored}
