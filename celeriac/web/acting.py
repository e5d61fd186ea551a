"""Acting: what the API and the dashboard do to functions and many runs alike, and who did it.

The rooms of runs know of no audit log, so an entry follows what was done, in a transaction of its own. What programs do
to single runs all day is no change of the installation; people are written down for it. A decision on a tool call is a
person's word, whoever carries it, and is always written down.
"""

from __future__ import annotations

from typing import Any

from celeriac.platform.approval import Decision
from celeriac.platform.durable.asked import RunApproval
from celeriac.platform.durable.bulk import BulkAction, BulkKind
from celeriac.platform.durable.reads import FunctionView
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.web.auth import actor, tenant_id
from celeriac.web.once import own_id
from celeriac.web.rooms import rooms


def pause_function(app: str, function_id: str, *, is_paused: bool) -> FunctionView:
    """Pause a function for the tenant, or let events start it again."""
    paused = rooms().operator.pause(tenant_id(), app, function_id, is_paused=is_paused)
    note("function.paused" if is_paused else "function.resumed", paused.name)
    return paused


def begin_action(kind: BulkKind, where: RunFilter) -> BulkAction:
    """Begin a bulk action."""
    action = rooms().operator.begin(tenant_id(), kind, where, action_id=own_id("blk"))
    note(f"bulk.{kind}", action.id, {"filter": where.encode()})
    return action


def abort_action(action_id: str) -> BulkAction:
    """Let a bulk action go no further."""
    action = rooms().operations.abort(tenant_id(), action_id)
    note("bulk.aborted", action.id)
    return action


def decide(run_id: str, call_id: str, *, approved: bool, reason: str | None) -> RunApproval:
    """Decide on a tool call that waits for a person, in the name of whoever asks; as `Operator.decide`."""
    decision = Decision(approved=approved, reason=reason or None, by=actor())
    decided = rooms().operator.decide(tenant_id(), run_id, call_id, decision, decision_id=own_id("evt"))
    note("run.approved" if approved else "run.denied", run_id, decided.detail)
    return decided


def note(action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Write down what whoever asks has just done."""
    rooms().audit.note(tenant_id(), actor=actor(), action=action, subject=subject, detail=detail)
