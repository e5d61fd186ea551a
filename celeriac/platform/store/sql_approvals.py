"""Approvals in SQL: a tenant's tool calls that wait for a person, with what each of them asks. Reads only."""

from __future__ import annotations

import json

from sqlalchemy import Connection, and_, func, or_, select

from celeriac.platform.approval import APPROVAL_STEP, REQUEST_STEP, ApprovalRequest, approval_signal
from celeriac.platform.durable.approvals import call_path
from celeriac.platform.durable.asked import AskedCall, RunApproval
from celeriac.platform.event import signal_name
from celeriac.platform.store.sql_rows import WAIT, AnyRow, wait_of
from celeriac.platform.store.sql_run_filter import Place
from celeriac.platform.store.tables import runs, steps, waits

_PREFIX = signal_name(approval_signal("apr_"))

#: a range that the index of names is searched for; every collation puts digits before letters
_BETWEEN = (f"{_PREFIX}{'0' * 26}", f"{_PREFIX}{'Z' * 26}")

#: the step with the request stands beside the wait
_REQUEST = func.substr(waits.c.path, 1, func.length(waits.c.path) - len(APPROVAL_STEP)).concat(REQUEST_STEP)

_OPEN = (
    select(*WAIT, waits.c.run_id, runs.c.app, runs.c.function_id, steps.c.value)
    .select_from(
        waits.join(runs, and_(runs.c.id == waits.c.run_id, runs.c.tenant_id == waits.c.tenant_id)).join(
            steps,
            and_(steps.c.run_id == waits.c.run_id, steps.c.tenant_id == waits.c.tenant_id, steps.c.path == _REQUEST),
        )
    )
    .where(
        waits.c.event_name.between(*_BETWEEN),
        waits.c.event_name.startswith(_PREFIX, autoescape=True),
        waits.c.kind == "signal",
        waits.c.resolved_at.is_(None),
    )
    .order_by(waits.c.since.desc(), waits.c.event_name.desc())
)


def next_approvals(
    connection: Connection, tenant_id: str, run_id: str | None, place: Place | None, limit: int
) -> tuple[list[RunApproval], Place | None]:
    """Return the calls before the place that wait, newest first, and the place where there are more."""
    statement = _OPEN.where(waits.c.tenant_id == tenant_id)
    if run_id is not None:
        statement = statement.where(waits.c.run_id == run_id)
    if place is not None:
        at, name = place
        statement = statement.where(or_(waits.c.since < at, and_(waits.c.since == at, waits.c.event_name < name)))
    rows = connection.execute(statement.limit(limit + 1)).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return [_approval(row) for row in rows[:limit]], None if last is None else (last.since, last.event_name)


def _approval(row: AnyRow) -> RunApproval:
    wait = wait_of(row)
    call = AskedCall(path=call_path(wait), request=ApprovalRequest.parse(json.loads(row.value)), wait=wait)
    return RunApproval(run_id=row.run_id, app=row.app, function_id=row.function_id, call=call)
