"""Answers: runs, approvals, bulk actions, functions and keys as plain JSON, in the shape of the models of the API.

The API's views, the command line and the dashboard's raw view write with these. They copy facts and decide nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celeriac.platform.durable.asked import RunApproval
from celeriac.platform.durable.bulk import BulkAction
from celeriac.platform.durable.reads import Attempt, FunctionView, Page, RunView, StepView
from celeriac.platform.run import Run
from celeriac.tenants.audit import AuditEntry
from celeriac.tenants.keys import KeyFacts


def run_json(run: Run) -> dict[str, Any]:
    """Write a run without its steps."""
    return {
        "id": run.id,
        "tenant_id": run.tenant_id,
        "app": run.app,
        "function_id": run.function_id,
        "event_id": run.event_id,
        "status": run.status,
        "reason": run.reason,
        "output": run.output,
        "error": run.error,
        "usage": run.usage.export(),
        "links": run.links,
        "version": run.version,
        "rerun_of": run.rerun_of,
        "parent_id": run.parent_id,
        "created_at": moment(run.created_at),
        "started_at": moment(run.started_at),
        "ended_at": moment(run.ended_at),
        "retry_at": moment(run.retry_at),
    }


def view_json(view: RunView) -> dict[str, Any]:
    """Write a run with its step tree and what it waits for."""
    steps = [_step(step) for step in view.steps]
    return run_json(view.run) | {"steps": steps, "waiting_for": view.waiting_for, "root_id": view.root_id}


def page_json(page: Page, limit: int) -> dict[str, Any]:
    """Write one page of runs."""
    position = {"next_cursor": page.next_cursor, "has_more": page.next_cursor is not None, "limit": limit}
    return {"data": [run_json(run) for run in page.runs], "page": position}


def action_json(action: BulkAction) -> dict[str, Any]:
    """Write a bulk action with its progress."""
    where = action.where
    function = "/".join(part for part in (where.app, where.function_id) if part) or None
    given = {
        "status": where.status,
        "function": function,
        "event_name": where.event_name,
        "created_after": moment(where.created_after),
        "created_before": moment(where.created_before),
        "if": where.if_,
    }
    return {
        "id": action.id,
        "kind": action.kind,
        "filter": {name: value for name, value in given.items() if value is not None},
        "status": action.status,
        "total": action.total,
        "seen": action.seen,
        "changed": action.changed,
        "created_at": moment(action.created_at),
        "ended_at": moment(action.ended_at),
    }


def approval_json(approval: RunApproval) -> dict[str, Any]:
    """Write a tool call that a person has to decide on, or has."""
    call, request, decision = approval.call, approval.call.request, approval.call.decision
    decided = None
    if decision is not None:
        at = None if decision.at is None else moment(datetime.fromisoformat(decision.at))
        decided = {"approved": decision.approved, "reason": decision.reason, "by": decision.by, "at": at}
    return {
        "id": request.id,
        "run_id": approval.run_id,
        "app": approval.app,
        "function_id": approval.function_id,
        "agent": request.agent,
        "tool": request.tool,
        "input": request.input,
        "path": call.path,
        "call_id": request.call_id,
        "part_id": request.part_id,
        "asked_at": moment(call.asked_at),
        "expires_at": moment(call.expires_at),
        "decision": decided,
    }


def function_json(function: FunctionView) -> dict[str, Any]:
    """Write a function that is declared."""
    return {
        "app": function.app,
        "id": function.function_id,
        "version": function.version,
        "description": function.description,
        "queue": function.queue,
        "triggers": list(function.triggers),
        "crons": list(function.crons),
        "is_paused": function.is_paused,
        "seen_at": moment(function.seen_at),
        "limits": function.rules.limits,
    }


def key_json(key: KeyFacts) -> dict[str, Any]:
    """Write what may be told about a key."""
    return {
        "id": key.id,
        "kind": key.kind,
        "name": key.name,
        "scopes": None if key.scopes is None else list(key.scopes),
        "status": key.status,
        "created_at": moment(key.created_at),
        "created_by": key.created_by,
        "last_used_at": moment(key.last_used_at),
        "expires_at": moment(key.expires_at),
        "revoked_at": moment(key.revoked_at),
        "successor_of": key.successor_of,
    }


def audit_json(entry: AuditEntry) -> dict[str, Any]:
    """Write an entry of the audit log."""
    return {
        "id": entry.id,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": dict(entry.detail),
        "at": moment(entry.at),
    }


def moment(at: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC with milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _step(step: StepView) -> dict[str, Any]:
    return {
        "path": step.path,
        "kind": step.kind,
        "status": step.status,
        "attempts": [_attempt(attempt) for attempt in step.attempts],
        "input": step.input,
        "output": step.output,
        "error": step.error,
        "children": [_step(child) for child in step.children],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": moment(attempt.started_at),
        "ended_at": moment(attempt.ended_at),
        "error": attempt.error,
    }
