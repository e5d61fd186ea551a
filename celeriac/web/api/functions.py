"""Functions: what the fleet has declared, and pausing it for the tenant; and signals to runs that wait for them."""

from __future__ import annotations

from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from celeriac.web.acting import pause_function
from celeriac.web.api.answers import function_json
from celeriac.web.api.models import BODY, refusals
from celeriac.web.api.operation_models import FunctionList, FunctionOut, FunctionPath, SignalIn, SignalOut
from celeriac.web.auth import needs, tenant_id
from celeriac.web.once import once, own_id
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms

functions = APIBlueprint(
    "functions",
    __name__,
    url_prefix="/v1/functions",
    abp_tags=[Tag(name="functions", description="what events start")],
    abp_security=[{"key": []}],
    abp_responses=refusals("404", "409", "422"),
)

signals = APIBlueprint(
    "signals",
    __name__,
    url_prefix="/v1/signals",
    abp_tags=[Tag(name="signals", description="what single runs wait for")],
    abp_security=[{"key": []}],
    abp_responses=refusals("404", "409", *BODY),
)


@functions.get("", responses={"200": FunctionList}, summary="List functions")
@needs("functions:read")
def list_functions() -> dict[str, Any]:
    """List the functions that events may start, by name."""
    return {"data": [function_json(one) for one in rooms().reads.declared(tenant_id())]}


@functions.post("/<app>/<function_id>/pause", responses={"200": FunctionOut}, summary="Pause a function")
@needs("functions:write")
@once
def pause(path: FunctionPath) -> dict[str, Any]:
    """Let events start no runs of it for this tenant: they are recorded as skipped. Runs that have begun go on."""
    return function_json(pause_function(path.app, path.function_id, is_paused=True))


@functions.post("/<app>/<function_id>/resume", responses={"200": FunctionOut}, summary="Resume a function")
@needs("functions:write")
@once
def resume(path: FunctionPath) -> dict[str, Any]:
    """Let events start runs of it again."""
    return function_json(pause_function(path.app, path.function_id, is_paused=False))


@signals.post("", responses={"200": SignalOut}, summary="Give a signal")
@needs("runs:write")
@once
def give(body: SignalIn) -> dict[str, Any]:
    """Give a signal to the run of this tenant that waits for it; 404 where none does."""
    signalled = rooms().operator.signal(tenant_id(), body.signal, body.data, id=own_id("evt"))
    if not signalled.is_awaited:
        raise Problem(404, "not_found", f"No run waits for the signal {body.signal!r}")
    return {"data": {"run_id": signalled.run_id}}
