"""Placed steps in SQL: a row for each, claimed and committed by (path, token), never by the fence of its run.

The run's row is locked before the step's, as everywhere; a commit raises the run's count of steps under that lock, so
that its memos stay numbered without gaps beside those that its own link commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, tuple_, update

from celeriac.database import db_ago, db_now, reading, single, transaction
from celeriac.ids import new_id
from celeriac.platform.codec import utf8_size
from celeriac.platform.durable.memo import AttemptFailed, StepDone
from celeriac.platform.durable.placed import DEADLY, PlacedClaim, Process, of_member, poisoned_step
from celeriac.platform.durable.store import Claim
from celeriac.platform.flow.gate import Queued
from celeriac.platform.message import Usage
from celeriac.platform.run import FINAL
from celeriac.platform.step import LONGEST_WAIT
from celeriac.platform.store.sql_counting import count_steps
from celeriac.platform.store.sql_part import SqlPart, insert_one, present
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.sql_runs import HELD, right_of
from celeriac.platform.store.sql_waking import lock_runs, resolve
from celeriac.platform.store.tables import attempts, placed_steps, runs, steps, waits, workers

_FAILED = (
    select(func.count())
    .select_from(attempts)
    .where(attempts.c.run_id == placed_steps.c.run_id, attempts.c.path == placed_steps.c.path)
    .scalar_subquery()
    .label("failed")
)

_OF_RUN = tuple(
    select(column).where(runs.c.id == placed_steps.c.run_id).scalar_subquery().label(column.name)
    for column in (runs.c.app, runs.c.function_id, runs.c.gate)
)

_CLAIM = (*placed_steps.c, _FAILED, *_OF_RUN)

#: A placed step stands for as long as its wait does: the end of the run closes it, and so does a race that it loses.
_AWAITED = (
    select(waits.c.path)
    .where(
        waits.c.run_id == placed_steps.c.run_id,
        waits.c.path == placed_steps.c.path,
        waits.c.kind == "placed",
        waits.c.resolved_at.is_(None),
    )
    .exists()
)


class SqlPlacements(SqlPart):
    """The part of the store that keeps steps of other queues."""

    def place(self, claim: Claim, path: str, queue: str, call: str) -> Queued | None:
        run = claim.run
        with transaction(self._engine) as connection:
            held = select(runs.c.id).where(*HELD).with_for_update()
            if connection.execute(held, right_of(claim)).one_or_none() is None:
                return None
            known = connection.execute(select(*_CLAIM).where(*_at(run.id, path))).one_or_none()
            if known is None:
                row = {"run_id": run.id, "path": path, "tenant_id": run.tenant_id, "queue": queue, "call": call}
                insert_one(connection, placed_steps, {**row, "status": "queued", "queued_at": db_now()})
                insert_one(connection, waits, _wait_row(connection, claim, path))
                connection.execute(update(runs).where(runs.c.id == run.id).values(waits=runs.c.waits + 1))
                known = connection.execute(select(*_CLAIM).where(*_at(run.id, path))).one()
            return _next_of(known)

    def claim_placed(self, run_id: str, path: str, process: Process, *, token: int | None = None) -> PlacedClaim | None:
        is_named = () if token is None else (placed_steps.c.token == token - 1,)
        move = (
            update(placed_steps)
            .where(*_at(run_id, path), placed_steps.c.status == "queued", _AWAITED, *is_named)
            .values(
                status="running",
                token=placed_steps.c.token + 1,
                worker_id=process.worker_id,
                pid=process.pid,
                pid_started=process.pid_started,
                claimed_at=db_now(),
            )
            .returning(*_CLAIM)
        )
        with single(self._engine) as connection:
            row = connection.execute(move).one_or_none()
        return None if row is None else _claim_of(row)

    def turn_back_placed(self, claim: PlacedClaim) -> Queued | None:
        with transaction(self._engine) as connection:
            is_moved = _move(connection, claim, {"status": "queued", "worker_id": None})
        return replace(claim.queued, fence=claim.token + 1) if is_moved else None

    def commit_placed(self, claim: PlacedClaim, done: StepDone) -> list[Queued] | None:
        with transaction(self._engine) as connection:
            return _commit(connection, claim, done)

    def retry_placed(self, claim: PlacedClaim, failed: AttemptFailed) -> bool:
        with transaction(self._engine) as connection:
            again = {"status": "waiting", "worker_id": None, "queued_at": failed.wait.wake_at}
            if not _move(connection, claim, again):
                return False
            row = {"run_id": claim.run_id, "path": claim.path, "tenant_id": claim.tenant_id, "number": failed.number}
            told = {"error": failed.error, "started_at": failed.started_at, "ended_at": failed.ended_at}
            insert_one(connection, attempts, {**row, **told, "commit_id": failed.commit_id})
            return True

    def wake_placed(self, *, most: int = 500) -> list[Queued]:
        due = (placed_steps.c.status == "waiting", placed_steps.c.queued_at <= db_now())
        with reading(self._engine) as connection:  # mostly none is due, and a look takes no lock
            keys = connection.execute(select(placed_steps.c.run_id, placed_steps.c.path).where(*due).limit(most)).all()
        if not keys:
            return []
        woken = []
        with transaction(self._engine) as connection:
            for key in sorted(tuple(key) for key in keys):
                move = update(placed_steps).where(*_at(*key), *due).values(status="queued", queued_at=db_now())
                woken += [_next_of(row) for row in connection.execute(move.returning(*_CLAIM))]
        return woken

    def performing(self, worker_id: str) -> list[tuple[PlacedClaim, Process]]:
        mine = select(*_CLAIM).where(placed_steps.c.worker_id == worker_id, placed_steps.c.status == "running")
        with reading(self._engine) as connection:
            rows = connection.execute(mine).all()
        return [
            (_claim_of(row), Process(worker_id=worker_id, pid=row.pid, pid_started=row.pid_started)) for row in rows
        ]

    def give_back_placed(self, claims: Sequence[PlacedClaim]) -> list[Queued]:
        with transaction(self._engine) as connection:
            return give_back(connection, claims)

    def stranded_placed(self, before: datetime, *, after: str = "", most: int = 500) -> list[Queued]:
        old = (placed_steps.c.status == "queued", placed_steps.c.queued_at <= before)
        place = tuple_(placed_steps.c.run_id, placed_steps.c.path)
        page = select(*_CLAIM, _AWAITED.label("is_awaited")).where(*old, place > tuple_(*of_member(after)))
        with reading(self._engine) as connection:  # mostly there are none
            rows = connection.execute(page.order_by(placed_steps.c.run_id, placed_steps.c.path).limit(most)).all()
        if any(not row.is_awaited for row in rows):
            with transaction(self._engine) as connection:
                connection.execute(update(placed_steps).where(*old, ~_AWAITED).values(status="done"))
        return [_next_of(row) for row in rows if row.is_awaited]


def performed_by(
    connection: Connection, worker_ids: Sequence[str], *, orphaned_for: timedelta | None = None
) -> list[PlacedClaim]:
    """Return what the processes of dead workers performed, and what was claimed for a worker without a row."""
    left: ColumnElement[bool] = placed_steps.c.worker_id.in_(worker_ids)
    if orphaned_for is not None:
        nobodys = placed_steps.c.worker_id.not_in(select(workers.c.id))
        left = or_(left, and_(nobodys, placed_steps.c.claimed_at <= db_ago(orphaned_for)))
    rows = connection.execute(select(*_CLAIM).where(left, placed_steps.c.status == "running")).all()
    return [_claim_of(row) for row in rows]


def give_back(connection: Connection, claims: Sequence[PlacedClaim]) -> list[Queued]:
    """Queue placed steps again whose process has died; one that was deadly too often fails instead."""
    given: list[Queued] = []
    lock_runs(connection, {claim.run_id for claim in claims})
    for claim in sorted(claims, key=lambda one: (one.run_id, one.path)):
        if claim.deaths + 1 >= DEADLY:
            given += _commit(connection, claim, poisoned_step(claim, present(connection))) or []
            continue
        again = {"status": "queued", "worker_id": None, "queued_at": db_now(), "deaths": claim.deaths + 1}
        if _move(connection, claim, again):
            given.append(replace(claim.queued, fence=claim.token + 1))
    return given


def _commit(connection: Connection, claim: PlacedClaim, done: StepDone) -> list[Queued] | None:
    locked = select(runs.c.steps).where(runs.c.id == claim.run_id, runs.c.status.not_in(sorted(FINAL)))
    before = connection.execute(locked.with_for_update()).scalar_one_or_none()
    is_awaited = connection.execute(select(_AWAITED).where(*_at(claim.run_id, claim.path))).scalar_one_or_none()
    if not _move(connection, claim, {"status": "done", "worker_id": None}) or before is None or not is_awaited:
        return None
    insert_one(connection, steps, _step_row(claim, done, before + 1))
    used = {"steps": runs.c.steps + 1, "suspicion": 0, **_used(done.usage)}
    run = connection.execute(
        update(runs).where(runs.c.id == claim.run_id).values(used).returning(runs.c.app, runs.c.function_id)
    ).one()
    counted = (done.model, 1, *done.usage.parts(), utf8_size(done.value))
    count_steps(connection, [(claim.tenant_id, f"{run.app}/{run.function_id}", counted)])
    return resolve(connection, {(claim.run_id, claim.path, 0): None})


def _move(connection: Connection, claim: PlacedClaim, values: dict[str, Any]) -> bool:
    """Change the row if the claim is still a right."""
    held = (*_at(claim.run_id, claim.path), placed_steps.c.token == claim.token, placed_steps.c.status == "running")
    moved = update(placed_steps).where(*held).values(values).returning(placed_steps.c.path)
    return connection.execute(moved).one_or_none() is not None


def _used(usage: Usage) -> dict[str, Any]:
    parts = {one.name: getattr(usage, one.name) for one in fields(Usage)}
    return {name: runs.c[name] + value for name, value in parts.items() if value}


def _at(run_id: str, path: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return placed_steps.c.run_id == run_id, placed_steps.c.path == path


def _claim_of(row: AnyRow) -> PlacedClaim:
    return PlacedClaim(
        run_id=row.run_id,
        path=row.path,
        tenant_id=row.tenant_id,
        queue=row.queue,
        call=row.call,
        token=row.token,
        failed=row.failed,
        deaths=row.deaths,
        function=f"{row.app}/{row.function_id}",
        gate=row.gate,
        queued_at=row.queued_at,
    )


def _next_of(row: AnyRow) -> Queued:
    """Return the step as the Gate has to know it: under the token that its next claim will take."""
    return replace(_claim_of(row).queued, fence=row.token + 1)


def _step_row(claim: PlacedClaim, done: StepDone, seq: int) -> dict[str, Any]:
    return {
        "run_id": claim.run_id,
        "path": claim.path,
        "tenant_id": claim.tenant_id,
        "seq": seq,
        "kind": done.kind,
        "value": done.value,
        "error": done.error,
        "input": done.input,
        "attempt": done.attempt,
        "started_at": done.started_at,
        "ended_at": done.ended_at,
        "committed_at": db_now(),
        "commit_id": done.commit_id,
    }


def _wait_row(connection: Connection, claim: Claim, path: str) -> dict[str, Any]:
    return {
        "run_id": claim.run.id,
        "path": path,
        "number": 0,
        "tenant_id": claim.run.tenant_id,
        "kind": "placed",
        "wake_at": present(connection) + LONGEST_WAIT,
        "created_at": db_now(),
        "commit_id": new_id("wai"),
    }
