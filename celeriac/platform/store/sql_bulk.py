"""Bulk actions in SQL: their rows, and the pages by which they are carried out.

A page is looked up without a lock and done in one transaction, which begins with the lock of the action's row and ends
with its new place: a page that somebody else has done meanwhile is not done again, and one that a crash cut off is.
Runs that traffic is changing are waited for; they are locked in the order of their ids like everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, insert, literal_column, or_, select, update

from celeriac.database import db_now, reading, single, transaction
from celeriac.errors import ConflictError, NotFoundError
from celeriac.ids import new_id
from celeriac.platform.durable.bulk import PAGE, Advance, BulkAction, BulkKind, Count, Place, rerun_id, statuses_of
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.store.sql_cancelling import end_or_flag
from celeriac.platform.store.sql_part import present
from celeriac.platform.store.sql_reruns import SqlReruns, all_again
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.sql_run_filter import (
    behind,
    chunks_before,
    conditions,
    decode_place,
    encode_place,
    is_chosen,
    looked_at,
    place_of,
)
from celeriac.platform.store.tables import bulk_actions, runs

#: the status is written out, as a partial index is not found by a parameter
_RUNNING = bulk_actions.c.status == literal_column("'running'")

#: how many runs, the newest ones, an expression is asked about to tell how many there are of all, and how often so many
_LOOK, _LOOKS = 50, 40

#: counting more would take too long for somebody who waits
_MOST_COUNTED = 1_000_000

#: actions of one tenant that go on at the same time
_MOST_RUNNING = 10


class SqlBulk(SqlReruns):
    """The part of the operations that acts on many runs."""

    def count(self, tenant_id: str, kind: BulkKind, where: RunFilter) -> Count:
        with reading(self._engine, tenant_id) as connection:
            total = _count(connection, tenant_id, kind, where)
            if where.if_ is None or not total:
                return Count(total=total, is_exact=total < _MOST_COUNTED)
            asked, chosen = _ask(connection, tenant_id, kind, where)
        if asked < _LOOK * _LOOKS:
            return Count(total=chosen)
        return Count(total=round(total * chosen / asked), is_exact=False)

    def begin(self, tenant_id: str, kind: BulkKind, where: RunFilter, *, action_id: str | None = None) -> BulkAction:
        going_on = select(func.count()).select_from(bulk_actions).where(bulk_actions.c.tenant_id == tenant_id, _RUNNING)
        with reading(self._engine, tenant_id) as connection:
            if connection.execute(going_on).scalar_one() >= _MOST_RUNNING:
                raise ConflictError(
                    f"{_MOST_RUNNING} bulk actions go on already; wait for one, or abort it", code="too_many_actions"
                )
            now = present(connection)
            total = _count(connection, tenant_id, kind, where)
        row = {
            "id": action_id or new_id("blk"),
            "tenant_id": tenant_id,
            "kind": kind,
            "filter": where.encode(),
            "status": "running",
            "total": total,
            "created_at": now,
        }
        with single(self._engine, tenant_id) as connection:
            written = insert(bulk_actions).values(row).returning(*bulk_actions.c)
            return _action_of(connection.execute(written).one())

    def action(self, tenant_id: str, action_id: str) -> BulkAction:
        with reading(self._engine, tenant_id) as connection:
            return _action_of(_row_of(connection, tenant_id, action_id))

    def actions(self, tenant_id: str, *, limit: int = 20, before: Place | None = None) -> list[BulkAction]:
        found = select(bulk_actions).where(bulk_actions.c.tenant_id == tenant_id)
        if before is not None:
            at, action_id = before
            beside = (bulk_actions.c.created_at == at) & (bulk_actions.c.id < action_id)
            found = found.where(or_(bulk_actions.c.created_at < at, beside))
        with reading(self._engine, tenant_id) as connection:
            newest_first = (bulk_actions.c.created_at.desc(), bulk_actions.c.id.desc())
            return [_action_of(row) for row in connection.execute(found.order_by(*newest_first).limit(limit))]

    def abort(self, tenant_id: str, action_id: str) -> BulkAction:
        place = (bulk_actions.c.id == action_id, bulk_actions.c.tenant_id == tenant_id)
        with single(self._engine, tenant_id) as connection:
            connection.execute(update(bulk_actions).where(*place, _RUNNING).values(status="aborted", ended_at=db_now()))
            return _action_of(_row_of(connection, tenant_id, action_id))

    def running(self) -> list[str]:
        with reading(self._engine) as connection:
            return list(connection.execute(select(bulk_actions.c.id).where(_RUNNING)).scalars())

    def advance(self, action_id: str) -> Advance:
        with reading(self._engine) as connection:
            row = connection.execute(_standing(action_id)).one_or_none()
            if row is None:
                return Advance()
            action = _action_of(row)
            page = _page(connection, action, row.cursor)
        chosen = [one.id for one in page if is_chosen(action.where, one)]
        with transaction(self._engine) as connection:
            held = connection.execute(_standing(action_id).with_for_update(skip_locked=True)).one_or_none()
            if held is None or held.cursor != row.cursor:
                return Advance()  # another worker is at it
            advance = self._do(connection, action, chosen) if chosen else Advance()
            goes_on = len(page) == PAGE
            changed = len(advance.ended) + len(advance.queued) + advance.flagged
            _move(connection, action_id, page, goes_on=goes_on, changed=changed)
            return replace(advance, goes_on=goes_on)

    def _do(self, connection: Connection, action: BulkAction, chosen: Sequence[str]) -> Advance:
        if action.kind == "rerun":
            declared = self._declared_now(connection)
            return Advance(queued=all_again(connection, chosen, declared, lambda old: rerun_id(action.id, old)))
        still = statuses_of("cancel") if action.where.status is None else {action.where.status}
        locked = select(runs.c.id).where(runs.c.id.in_(sorted(chosen)), runs.c.status.in_(sorted(still)))
        ids = connection.execute(locked.order_by(runs.c.id).with_for_update()).scalars().all()
        cancelled = end_or_flag(connection, dict.fromkeys(ids, "cancelled"))
        ended = [run.id for run in cancelled if run.is_final]
        return Advance(ended=ended, flagged=len(ids) - len(ended))


def _standing(action_id: str) -> Any:
    return select(bulk_actions).where(bulk_actions.c.id == action_id, _RUNNING)


def _page(connection: Connection, action: BulkAction, cursor: str | None) -> Sequence[AnyRow]:
    """Return the next runs, oldest first, that were there when the action began."""
    statement = looked_at(action.where).where(
        *conditions(action.tenant_id, action.where),
        runs.c.status.in_(sorted(statuses_of(action.kind))),
        runs.c.created_at <= action.created_at,
    )
    if cursor is not None:
        statement = statement.where(behind(decode_place(cursor)))
    return connection.execute(statement.order_by(runs.c.created_at, runs.c.id).limit(PAGE)).all()


def _move(connection: Connection, action_id: str, page: Sequence[AnyRow], *, goes_on: bool, changed: int) -> None:
    """Note what the page came to, together with it."""
    moved: dict[str, Any] = {
        "seen": bulk_actions.c.seen + len(page),
        "changed": bulk_actions.c.changed + changed,
    }
    if page:
        moved["cursor"] = encode_place(place_of(page[-1]))
    if not goes_on:
        moved |= {"status": "completed", "ended_at": db_now()}
    connection.execute(update(bulk_actions).where(bulk_actions.c.id == action_id).values(moved))


def _count(connection: Connection, tenant_id: str, kind: BulkKind, where: RunFilter) -> int:
    """Count the runs that the action has to look at, up to `_MOST_COUNTED`."""
    found = select(runs.c.id).where(*conditions(tenant_id, where), runs.c.status.in_(sorted(statuses_of(kind))))
    counted = select(func.count()).select_from(found.limit(_MOST_COUNTED).subquery())
    return int(connection.execute(counted).scalar_one())


def _ask(connection: Connection, tenant_id: str, kind: BulkKind, where: RunFilter) -> tuple[int, int]:
    """Ask the expression about the newest runs; return about how many, and for how many it is true."""
    looked = looked_at(where).where(*conditions(tenant_id, where), runs.c.status.in_(sorted(statuses_of(kind))))
    asked = chosen = 0
    for rows in islice(chunks_before(connection, looked, None, size=_LOOK), _LOOKS):
        asked += len(rows)
        chosen += sum(is_chosen(where, row) for row in rows)
    return asked, chosen


def _row_of(connection: Connection, tenant_id: str, action_id: str) -> AnyRow:
    place = (bulk_actions.c.id == action_id, bulk_actions.c.tenant_id == tenant_id)
    row = connection.execute(select(bulk_actions).where(*place)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no bulk action {action_id!r}; `celeriac bulk ls` shows them")
    return row


def _action_of(row: AnyRow) -> BulkAction:
    return BulkAction(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        where=RunFilter.decode(row.filter),
        status=row.status,
        total=row.total,
        seen=row.seen,
        changed=row.changed,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
