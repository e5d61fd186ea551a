"""The event that tells how a run ended, built alike by the engine and by a store that cancels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celeriac.ids import derived_id
from celeriac.platform.codec import encode
from celeriac.platform.durable.memo import OutgoingEvent
from celeriac.platform.durable.starting import Unstarted
from celeriac.platform.event import RESERVED, Event
from celeriac.platform.run import Run, Status

_NAMES: dict[Status, str] = {"completed": "run.finished", "failed": "run.failed", "cancelled": "run.cancelled"}


def ending_event(run: Run, event: Event | None = None) -> OutgoingEvent:
    """Return `celeriac/run.finished`, `run.failed` or `run.cancelled` for a run as it stands at its end.

    Its id is derived from the run's, so that it is sent once, whoever ends the run. That of a failed run carries the
    run's `event`, for those who handle the failure.
    """
    data = {
        "run_id": run.id,
        "app": run.app,
        "function_id": run.function_id,
        "event_id": run.event_id,
        "status": run.status,
        "reason": run.reason,
        "output": run.output,
        "error": run.error,
    }
    if run.status == "failed" and event is not None:
        data["event"] = event.export()
    name = RESERVED + _NAMES[run.status]
    return OutgoingEvent(id=derived_id("evt", run.id, name), name=name, data=encode(data), is_internal=True)


def unstarted_event(one: Unstarted) -> OutgoingEvent:
    """Return the event by which a run that was invoked and does not come to be is told of as one that ended."""
    app, _, function_id = (one.arrival.target or "").partition("/")
    code = one.reason if one.status == "failed" else "skipped"
    message = "there is no such function" if one.status == "failed" else f"it was skipped: {one.reason}"
    data = {
        "run_id": one.run_id,
        "app": app,
        "function_id": function_id,
        "event_id": one.arrival.id,
        "status": one.status,
        "reason": one.reason,
        "retry_at": None if one.retry_at is None else one.retry_at.isoformat(),
        "output": None,
        "error": {"code": code, "message": message},
    }
    name = f"{RESERVED}run.failed" if one.status == "failed" else f"{RESERVED}run.skipped"
    return OutgoingEvent(id=derived_id("evt", one.run_id, name), name=name, data=encode(data), is_internal=True)


#: what a function is started by that was deferred to the end of a run
DEFERRED = f"{RESERVED}deferred"


def deferred_event(run_id: str, path: str, deferred: Mapping[str, Any]) -> OutgoingEvent:
    """Return the event of what a step of the run deferred: `{"target": "app/function", "data": …}`."""
    return OutgoingEvent(
        id=derived_id("evt", run_id, path, "deferred"),
        name=DEFERRED,
        data=encode(deferred["data"]),
        target=deferred["target"],
        is_internal=True,
    )
