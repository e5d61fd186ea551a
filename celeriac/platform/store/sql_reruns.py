"""Reruns in SQL: new runs of the events of ended ones, with the steps that they take over.

The old run's row is locked against its deletion until the new one, which needs the same event, is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, insert, literal, select

from celeriac.database import transaction
from celeriac.errors import ConflictError, NotFoundError
from celeriac.ids import new_id
from celeriac.platform.codec import encode
from celeriac.platform.durable.admission import admission, freeze
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.declared import Arrival, Declared
from celeriac.platform.durable.matching import visible
from celeriac.platform.durable.rerun import (
    Cut,
    DoneStep,
    Wish,
    check_ended,
    cut_of,
    deadline_of,
    event_is_gone,
    function_of,
    overrides_of,
)
from celeriac.platform.durable.starting import cancelling_waits
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_counting import Counted, count
from celeriac.platform.store.sql_declarations import SqlDeclarations, read_declared
from celeriac.platform.store.sql_part import insert_new, insert_returning, present
from celeriac.platform.store.sql_rows import AnyRow, run_of
from celeriac.platform.store.sql_waits import wait_row
from celeriac.platform.store.tables import attempts, events, run_events, runs, steps, waits

_MICROSECOND = timedelta(microseconds=1)

#: an ended run with the event that it is done again with; its row stays until the transaction ends
_SOURCE = (
    select(
        runs,
        events.c.name.label("event_name"),
        events.c.data.label("event_data"),
        events.c.sender_id.label("event_sender_id"),
        events.c.ts.label("event_ts"),
        events.c.received_at.label("event_received_at"),
    )
    .select_from(runs.outerjoin(events, and_(events.c.id == runs.c.event_id, events.c.tenant_id == runs.c.tenant_id)))
    .order_by(runs.c.id)
    .with_for_update(read=True, of=runs)
)


@dataclass(frozen=True, kw_only=True)
class Again:
    """A run that is to be done again."""

    source: AnyRow
    function: Declaration
    run_id: str
    #: how many steps it takes over, and what it edits
    steps: int = 0
    overrides: Mapping[str, Any] | None = None

    @property
    def arrival(self) -> Arrival:
        """Its event, as what cancels it is matched with."""
        row = self.source
        return Arrival(
            id=row.event_id,
            tenant_id=row.tenant_id,
            visible=visible(
                row.event_name, json.loads(row.event_data), row.event_sender_id or row.event_id, row.event_ts
            ),
            ts=row.event_ts,
            received_at=row.event_received_at,
        )


class SqlReruns(SqlDeclarations):
    """The part of the operations that does runs again."""

    def rerun(self, tenant_id: str, run_id: str, wish: Wish) -> Queued:
        with transaction(self._engine, tenant_id) as connection:
            source = connection.execute(_SOURCE.where(runs.c.id == run_id, runs.c.tenant_id == tenant_id)).one_or_none()
            if source is None:
                raise NotFoundError(f"There is no run {run_id!r}; `celeriac runs ls` shows them")
            function = checked(source, self._declared_now(connection))
            done, begun = _done_of(connection, run_id), _begun_of(connection, run_id)
            cut = cut_of(done, begun, wish)
            again = Again(
                source=source,
                function=function,
                run_id=wish.run_id or new_id("run"),
                steps=sum(cut.keeps(step.path, step.seq) for step in done),
                overrides=overrides_of(json.loads(source.overrides or "{}"), wish),
            )
            begun_again = begin_again(connection, [again], present(connection))
            if not begun_again:
                raise ConflictError(f"Run {again.run_id!r} begins at this moment; ask for it", code="run_exists")
            [queued] = begun_again
            if again.steps:
                _take_over(connection, run_id, again.run_id, cut)
            return queued

    def _declared_now(self, connection: Connection) -> Declared:
        """Return what is declared, read anew: the pauses that are seen here may be those of one tenant."""
        return read_declared(connection)


def all_again(
    connection: Connection, run_ids: Iterable[str], declared: Declared, new_id_of: Callable[[str], str]
) -> list[Queued]:
    """Do those of the runs again that can be; a run whose new one is there already is not done a third time."""
    found: list[Again] = []
    for row in connection.execute(_SOURCE.where(runs.c.id.in_(sorted(run_ids)))):
        try:
            function = checked(row, declared)
        except ConflictError:
            continue
        overrides = json.loads(row.overrides or "{}")
        found.append(Again(source=row, function=function, run_id=new_id_of(row.id), overrides=overrides))
    return begin_again(connection, found, present(connection)) if found else []


def checked(source: AnyRow, declared: Declared) -> Declaration:
    """Return the function of an ended run; raise `ConflictError` where it cannot be done again."""
    run = run_of(source)
    check_ended(run)
    if source.event_name is None:
        raise event_is_gone(run)
    return function_of(run, declared)


def begin_again(connection: Connection, again: Sequence[Again], now: datetime) -> list[Queued]:
    """Insert the new runs with what cancels them and the events that they have gathered; return those that are new."""
    begun = set(insert_returning(connection, runs, [_row(one, now) for one in again], "id"))
    new = [one for one in again if one.run_id in begun]
    count(connection, [Counted(tenant_id=one.source.tenant_id, function=one.function.name, runs=1) for one in new])
    of_old = {one.source.id: one.run_id for one in new}
    gathered = select(run_events).where(run_events.c.run_id.in_(sorted(of_old)))
    rows = [{**row._asdict(), "run_id": of_old[row.run_id]} for row in connection.execute(gathered)]
    insert_new(connection, run_events, rows)
    insert_new(
        connection,
        waits,
        [
            {**wait_row(one.run_id, one.source.tenant_id, wait), "created_at": now}
            for one in new
            for wait in cancelling_waits(one.function, one.arrival, since=now, begins_at=now)
        ],
    )
    return [
        Queued(
            run_id=one.run_id,
            tenant_id=one.source.tenant_id,
            queue=one.function.queue,
            fence=1,
            is_internal=bool(one.source.is_internal),
            function=one.function.name,
            queued_at=now,
            **admission(freeze(one.function, one.arrival.visible)),
        )
        for one in new
    ]


def _row(one: Again, now: datetime) -> dict[str, Any]:
    source, function = one.source, one.function
    limit = function.rules.timeout
    return {
        "id": one.run_id,
        "tenant_id": source.tenant_id,
        "app": function.app,
        "function_id": function.function_id,
        "version": function.version,
        "queue": function.queue,
        "event_id": source.event_id,
        "event_ids": source.event_ids,
        "is_internal": bool(source.is_internal),
        "status": "queued",
        "steps": one.steps,
        "rerun_of": source.id,
        "overrides": encode(one.overrides) if one.overrides else None,
        "gate": freeze(function, one.arrival.visible),
        "deadline": deadline_of(function, now),
        "time_limit": None if limit is None else limit // _MICROSECOND,
        "created_at": now,
        "queued_at": now,
    }


def _done_of(connection: Connection, run_id: str) -> list[DoneStep]:
    found = select(steps.c.path, steps.c.seq, steps.c.kind, steps.c.input).where(steps.c.run_id == run_id)
    return [
        DoneStep(path=row.path, seq=row.seq, kind=row.kind, input=row.input)
        for row in connection.execute(found.order_by(steps.c.seq))
    ]


def _begun_of(connection: Connection, run_id: str) -> set[str]:
    """Return the paths of what has begun; the engine's own waits stand at no step."""
    of_waits = select(waits.c.path).where(
        waits.c.run_id == run_id, waits.c.path != "", waits.c.path.not_like("~%"), waits.c.kind != "start"
    )
    of_attempts = select(attempts.c.path).where(attempts.c.run_id == run_id, attempts.c.path != "")
    return set(connection.execute(of_waits.union(of_attempts)).scalars())


def _take_over(connection: Connection, old: str, new: str, cut: Cut) -> None:
    """Copy the steps that the cut keeps, numbered from 1 in the order of their commits, inside of the database."""
    assert cut.path is not None, "without a step nothing is kept"
    below = f"{cut.path}/"
    copied = [column for column in steps.c if column.name not in ("run_id", "seq")]
    kept = select(literal(new), func.row_number().over(order_by=steps.c.seq), *copied).where(
        steps.c.run_id == old, steps.c.path != cut.path, func.substr(steps.c.path, 1, len(below)) != below
    )
    if cut.before is not None:
        kept = kept.where(steps.c.seq < cut.before)
    connection.execute(insert(steps).from_select(["run_id", "seq", *(column.name for column in copied)], kept))
