"""What the fields of queries and bodies name, for the matrix of `test_isolation_fields.py`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from bank_runs import Desk, Played
from isolation_world import PARAMETERS, Parameter, Side, World

from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Ending, Link
from celeriac.platform.event import Event, signal_name


def _deed(side: Side) -> tuple[str, str]:
    """Let somebody do something that stands in the audit log; return who, and to what."""
    actor, subject = f"user:{uuid4().hex}", uuid4().hex
    detail = {"reason": side.mark}
    side.rooms.audit.note(side.tenant_id, actor=actor, action="run.cancelled", subject=subject, detail=detail)
    return actor, subject


def _sender_id(side: Side) -> str:
    """Send an event with an id of the sender's own."""
    id = uuid4().hex
    side.rooms.store.ingest(side.tenant_id, [Event(f"{side.mark}/event", {"text": side.mark}, id=id)])
    return id


def _signal(side: Side) -> str:
    """Let a run wait for a signal."""
    name, later = uuid4().hex, datetime.now(UTC) + timedelta(hours=1)
    wait = Wait(path="listening", kind="signal", event_name=signal_name(name), wake_at=later)
    assert side.rooms.store.await_event(Desk(side.rooms.store, side.tenant_id).started().claim, wait) is not None
    return name


def _event_name(side: Side) -> str:
    """Let an event start a run that tells of its tenant; return the event's name."""
    name, store = f"watched/{uuid4().hex}", side.rooms.store
    store.declare("watch", [Declaration(app="watch", function_id="watch", triggers=("watched/*",))], [])
    [queued] = store.ingest(side.tenant_id, [Event(name, {})]).queued
    claim = store.claim(queued.run_id, "wrk_desk", Link(id="link-2", root_id="link-2"))
    assert claim is not None
    Played(store, claim).end(Ending(status="completed", reason="done", output=json.dumps(side.mark)))
    return name


#: each field that can name something of a tenant's, wherever it stands
FIELDS: dict[str, Parameter] = {
    "run_id": PARAMETERS["run_id"],
    "actor": Parameter(made=lambda side: _deed(side)[0], nobodys="user:nobody"),
    "subject": Parameter(made=lambda side: _deed(side)[1], nobodys="nobody"),
    "id": Parameter(made=_sender_id, nobodys="an-id-of-nobodys"),
    "signal": Parameter(made=_signal, nobodys="no-signal"),
    "event_name": Parameter(made=_event_name, nobodys="nobody/event"),
}

#: fields that name nothing of a tenant's: values, spans and times, what all tenants share, and what is chosen anew
PLAIN = {
    "action", "approved", "by", "created_after", "created_before", "data", "dry_run", "expires", "filter", "format",
    "from_step", "function", "if", "input", "kind", "limit", "meta", "name", "overlap", "provider", "reason", "scopes",
    "since", "status", "ts", "until", "user", "v", "value",
}  # fmt: skip

#: bodies by operation, where the one of the other matrix does something that is there no second time
BODIES = {"POST /v1/bulk": {"kind": "cancel", "filter": {"function": "bank/support"}, "dry_run": True}}


def cursor_of(world: World, side: Side, path: str) -> str:
    """Return the cursor of the second page of a list, as its owner gets it."""
    Desk(side.rooms.store, side.tenant_id).completed(f"{side.mark} reply")
    for _ in range(2):
        for made in (Side.run, Side.action, _deed):
            made(side)
    _, key = side.key(scopes=["runs:read", "audit:read"])
    answer = world.app.test_client().get(f"{path}?limit=1", headers={"Authorization": f"Bearer {key}"})
    assert answer.json is not None
    return str(answer.json["page"]["next_cursor"])
