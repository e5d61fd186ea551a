"""The failure function: what `on_failure=` makes of a handler, a function of its own with its own run and retries.

It is started by the event that tells of a failed run of its function. A cancelled run calls nobody, and the failure of
a failure function calls nobody either.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from celeriac.errors import ConfigError, InvalidEventError, RunFailed
from celeriac.platform.context import Context
from celeriac.platform.durable.function import Function
from celeriac.platform.durable.options import OnFailure, Options
from celeriac.platform.event import RESERVED, Event
from celeriac.platform.signature import is_async
from celeriac.platform.trigger import Trigger

_SUFFIX = ".on-failure"
_PART = "failure"


class FailureFunction(Function[..., Any]):
    """The function that handles the failures of another; its context has the event of the run that failed."""


def failure_function(function: Function[..., Any], handler: OnFailure) -> FailureFunction:
    """Return the function that calls `handler` for each failed run of `function`."""
    if not is_async(handler):
        raise ConfigError(f"Function {function.id!r}: on_failure must be `async def`, and takes ctx and the error")

    async def handle(ctx: Context[Any]) -> Any:
        return await handler(ctx, ctx.part(_PART))

    handle.__doc__ = getattr(handler, "__doc__", None)
    of_function = f"event.data.app == {json.dumps(function.app)} && event.data.function_id == {json.dumps(function.id)}"
    options = Options(
        on=(Trigger(f"{RESERVED}run.failed", if_=of_function),),
        links=function.options.links,
        queue=function.options.queue,
    )
    return FailureFunction(handle, app=function.app, id=function.id + _SUFFIX, options=options)


def as_told(ctx: Context[Any], read_event: Callable[[Event], Event]) -> Context[Any]:
    """Return the context of a failure function's run as its handler is to see it."""
    data = ctx.event.data
    error = data["error"] or {"code": "error", "message": ""}
    failure = RunFailed(data["run_id"], data["function_id"], error["code"], error["message"])
    kept = data["event"]
    event = Event(kept["name"], kept["data"], id=kept["id"], ts=datetime.fromisoformat(kept["ts"]))
    with suppress(InvalidEventError):  # what failed the run may be just this
        event = read_event(event)
    return ctx.of_events([event]).bound(**{_PART: failure})
