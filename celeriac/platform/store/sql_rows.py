"""Rows as facts: how what stands in the tables becomes a fact: a Run, an Event, a Wait.

Called by the sql_* modules with rows of the tables' columns. Reads no database.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row

from celeriac.platform.codec import encode
from celeriac.platform.durable.admission import admission, retry_at_of
from celeriac.platform.durable.matching import visible
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Worker
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.message import Usage
from celeriac.platform.run import Run
from celeriac.platform.store.tables import runs, waits

#: a row whose columns the statement names
AnyRow = Row[*tuple[Any, ...]]

#: what a Queued is made of
QUEUED = (
    runs.c.id,
    runs.c.tenant_id,
    runs.c.queue,
    runs.c.fence,
    runs.c.started_at,
    runs.c.is_internal,
    runs.c.root_id,
    runs.c.link_id,
    runs.c.app,
    runs.c.function_id,
    runs.c.gate,
    runs.c.queued_at,
)

#: what a Wait is made of, without its event
WAIT = (
    waits.c.path,
    waits.c.kind,
    waits.c.number,
    waits.c.wake_at,
    waits.c.event_name,
    waits.c.match_path,
    waits.c.match_value,
    waits.c.condition,
    waits.c.since,
    waits.c.resolved_at,
)


def queued_of(row: AnyRow) -> Queued:
    """Make the Queued of a run that stands at the fence of its last link."""
    return Queued(
        run_id=row.id,
        tenant_id=row.tenant_id,
        queue=row.queue,
        fence=row.fence + 1,
        is_resume=row.started_at is not None,
        is_internal=bool(row.is_internal),
        root_id=row.root_id,
        parent_id=row.link_id,
        function=f"{row.app}/{row.function_id}",
        queued_at=row.queued_at,
        **admission(row.gate),
    )


def run_of(row: AnyRow) -> Run:
    """Make the Run of a row with all columns of `runs`."""
    return Run(
        id=row.id,
        tenant_id=row.tenant_id,
        app=row.app,
        function_id=row.function_id,
        event_id=row.event_id,
        status=row.status,
        reason=row.reason,
        output=None if row.output is None else json.loads(row.output),
        error=None if row.error_code is None else {"code": row.error_code, "message": row.error_message or ""},
        usage=usage_of(row),
        links=row.links,
        version=row.version,
        rerun_of=row.rerun_of,
        parent_id=row.parent_id,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        retry_at=retry_at_of(row.gate) if row.status == "skipped" else None,
    )


def usage_of(row: AnyRow) -> Usage:
    """Make the Usage of a row of `runs`."""
    return Usage(
        model_calls=row.model_calls,
        tool_calls=row.tool_calls,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cost_usd=row.cost_usd,
    )


def event_of(row: AnyRow) -> Event:
    """Make the Event of a row of `events`; its id is the sender's where there is one."""
    return Event(row.name, json.loads(row.data), id=row.sender_id or row.id, ts=row.ts)


def event_text(row: AnyRow) -> str:
    """Return the JSON text of a row of `events`, as a wait hands it on."""
    return encode(visible(row.name, json.loads(row.data), row.sender_id or row.id, row.ts))


def wait_of(row: AnyRow, event: str | None = None) -> Wait:
    """Make the Wait of a row with the columns of `WAIT`."""
    return Wait(
        path=row.path,
        kind=row.kind,
        number=row.number,
        wake_at=row.wake_at,
        event_name=row.event_name,
        match_path=row.match_path,
        match_value=row.match_value,
        condition=row.condition,
        since=row.since,
        resolved_at=row.resolved_at,
        event=event,
    )


def worker_of(row: AnyRow) -> Worker:
    """Make the Worker of a row of `workers`."""
    return Worker(
        id=row.id,
        host=row.host,
        boot_id=row.boot_id,
        pid_namespace=row.pid_namespace,
        pid=row.pid,
        pid_started=row.pid_started,
        queues=tuple(json.loads(row.queues)),
        capacity=row.capacity,
        version=row.version,
    )
