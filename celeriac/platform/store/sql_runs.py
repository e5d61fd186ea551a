"""Runs in SQL: their moves, each a compare-and-set on status and fence, and the memos that a link replays from.

Almost every move is one statement, which is its own transaction. Steps are committed by `sql_journal.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    bindparam,
    case,
    literal_column,
    null,
    select,
    text,
    type_coerce,
    update,
)

from celeriac.database import Moment, db_now, reading, single
from celeriac.platform.durable.memo import Memo
from celeriac.platform.durable.store import Claim
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_part import SqlPart, present
from celeriac.platform.store.sql_rows import QUEUED, queued_of
from celeriac.platform.store.tables import HOLDS_A_POOL, runs, steps

#: the condition under which a claim is still a right; `right_of` fills it in
HELD: tuple[ColumnElement[bool], ...] = (
    runs.c.id == bindparam("held_run"),
    runs.c.tenant_id == bindparam("held_tenant"),
    runs.c.fence == bindparam("held_fence"),
    runs.c.status == "running",
)

_REFRESH = select(runs.c.steps, runs.c.waits, runs.c.wakes, runs.c.cancel_requested, runs.c.cancel_reason).where(*HELD)

_MEMOS = (
    select(steps.c.path, steps.c.kind, steps.c.seq, steps.c.value, steps.c.error)
    .where(steps.c.run_id == bindparam("in_run"), steps.c.tenant_id == bindparam("of_tenant"))
    .order_by(steps.c.seq)
)

_PARK = (
    update(runs)
    .where(*HELD, runs.c.wakes == bindparam("seen_wakes"), runs.c.cancel_requested.is_(False))
    .values(status="parked", reason=bindparam("parked_for"), worker_id=null(), suspicion=0)
    .returning(runs.c.id)
)

_REQUEUE = (
    update(runs)
    .where(*HELD)
    .values(status="queued", worker_id=null(), suspicion=0, queued_at=db_now())
    .returning(*QUEUED)
)

#: undoes what a claim sets; a first link left the run's start and its deadline behind
_IS_FIRST = runs.c.links == 1
_TURN_BACK = (
    update(runs)
    .where(*HELD)
    .values(
        status="queued",
        worker_id=null(),
        links=runs.c.links - 1,
        started_at=case((_IS_FIRST, null()), else_=runs.c.started_at),
        deadline=case(
            (_IS_FIRST, type_coerce(runs.c.queued_at, BigInteger) + bindparam("start_timeout", type_=BigInteger)),
            else_=runs.c.deadline,
        ),
    )
    .returning(*QUEUED)
)

#: the status is written out, as a partial index is not found by a parameter
_STRANDED = (
    select(*QUEUED)
    .where(
        runs.c.status == literal_column("'queued'"),
        runs.c.id > bindparam("after_id"),
        runs.c.queued_at <= bindparam("before", type_=Moment),
    )
    .order_by(runs.c.id)
)


#: the condition is written out, as it is that of an index
_HOLDING = (
    select(*QUEUED).where(text(HOLDS_A_POOL), runs.c.started_at.is_not(None), runs.c.id > bindparam("after_id"))
).order_by(runs.c.id)


class SqlRuns(SqlPart):
    """The part of the store that moves runs."""

    def refresh(self, claim: Claim) -> Claim | None:
        with reading(self._engine) as connection:
            row = connection.execute(_REFRESH, right_of(claim)).one_or_none()
        if row is None:
            return None
        return replace(
            claim,
            steps=row.steps,
            waits=row.waits,
            wakes=row.wakes,
            cancel_requested=bool(row.cancel_requested),
            cancel_reason=row.cancel_reason,
        )

    def memos(self, claim: Claim) -> list[Memo]:
        with reading(self._engine) as connection:
            rows = connection.execute(_MEMOS, {"in_run": claim.run.id, "of_tenant": claim.run.tenant_id}).all()
        return [Memo(path=path, kind=kind, seq=seq, value=value, error=error) for path, kind, seq, value, error in rows]

    def park(self, claim: Claim, *, reason: str | None = None) -> bool:
        with single(self._engine) as connection:
            names = {**right_of(claim), "seen_wakes": claim.wakes, "parked_for": reason}
            parked = connection.execute(_PARK, names)
            return parked.one_or_none() is not None

    def requeue(self, claim: Claim) -> Queued | None:
        with single(self._engine) as connection:
            row = connection.execute(_REQUEUE, right_of(claim)).one_or_none()
        return None if row is None else queued_of(row)

    def is_executing(self, run_id: str, fence: int) -> bool:
        held = select(runs.c.id).where(runs.c.id == run_id, runs.c.fence == fence, runs.c.status == "running")
        with reading(self._engine) as connection:
            return connection.execute(held).one_or_none() is not None

    def turn_back(self, claim: Claim, *, start_timeout: timedelta | None = None) -> Queued | None:
        micros = None if start_timeout is None else start_timeout // timedelta(microseconds=1)
        with single(self._engine) as connection:
            row = connection.execute(_TURN_BACK, {**right_of(claim), "start_timeout": micros}).one_or_none()
        return None if row is None else queued_of(row)

    def holding(self, *, after: str = "", most: int = 500) -> list[Queued]:
        with reading(self._engine) as connection:
            return [queued_of(row) for row in connection.execute(_HOLDING.limit(most), {"after_id": after})]

    def holding_of(self, run_ids: Sequence[str]) -> list[Queued]:
        of_ids = select(*QUEUED).where(text(HOLDS_A_POOL), runs.c.id.in_(run_ids))
        with reading(self._engine) as connection:
            return [queued_of(row) for row in connection.execute(of_ids)]

    def stranded(self, *, older_than: timedelta, after: str = "", most: int = 500) -> list[Queued]:
        with reading(self._engine) as connection:
            names = {"before": present(connection) - older_than, "after_id": after}
            return [queued_of(row) for row in connection.execute(_STRANDED.limit(most), names)]

    def stranded_of(self, run_ids: Sequence[str], *, older_than: timedelta) -> list[Queued]:
        of_ids = _STRANDED.where(runs.c.id.in_(run_ids))
        with reading(self._engine) as connection:
            names = {"before": present(connection) - older_than, "after_id": ""}
            return [queued_of(row) for row in connection.execute(of_ids, names)]


def right_of(claim: Claim) -> dict[str, Any]:
    """Return the parameters of `HELD`."""
    return {"held_run": claim.run.id, "held_tenant": claim.run.tenant_id, "held_fence": claim.fence}
