"""Runs out: lists of runs, one run with its steps; and what is done to one: cancel, rerun, resume."""

from __future__ import annotations

from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from celeriac.platform.durable.rerun import Wish
from celeriac.web.api.answers import page_json, run_json, view_json
from celeriac.web.api.models import BODY, RunDetail, RunOut, RunPath, RunsPage, RunsQuery, refusals
from celeriac.web.api.operation_models import RerunIn
from celeriac.web.auth import needs, tenant_id
from celeriac.web.cancelling import cancel_run
from celeriac.web.filters import refusing, run_filter
from celeriac.web.once import once, own_id
from celeriac.web.paging import page_of_runs
from celeriac.web.rooms import rooms
from celeriac.web.viewing import view_of

runs = APIBlueprint(
    "runs",
    __name__,
    url_prefix="/v1/runs",
    abp_tags=[Tag(name="runs", description="executions of functions")],
    abp_security=[{"key": []}],
    abp_responses=refusals("404", "409", *BODY),
)


@runs.get("", responses={"200": RunsPage}, summary="List runs")
@needs("runs:read")
def list_runs(query: RunsQuery) -> dict[str, Any]:
    """List the tenant's runs, newest first."""
    return page_json(page_of_runs(run_filter(query), limit=query.limit, cursor=query.cursor), query.limit)


@runs.get("/<run_id>", responses={"200": RunDetail}, summary="Get a run")
@needs("runs:read")
def get_run(path: RunPath) -> dict[str, Any]:
    """Return one run with its step tree and what it waits for."""
    return view_json(view_of(path.run_id))


@runs.post("/<run_id>/cancel", responses={"200": RunOut, "202": RunOut}, summary="Cancel a run")
@needs("runs:write")
@once
def cancel(path: RunPath) -> tuple[dict[str, Any], int]:
    """Ask a run to end: 200 when it has ended by it, 202 while its worker still has to end it."""
    run = cancel_run(tenant_id(), path.run_id)
    return run_json(run), 200 if run.is_final else 202


@runs.post("/<run_id>/rerun", responses={"201": RunOut}, summary="Do a run again")
@needs("runs:write")
@once
def rerun(path: RunPath, body: RerunIn) -> tuple[dict[str, Any], int]:
    """Start a new run of the same event: from its beginning, or from a step on with the earlier steps filled in."""
    with refusing(422):
        wish = Wish(from_step=body.from_step, input=body.input, run_id=own_id("run"))
    return run_json(rooms().operator.rerun(tenant_id(), path.run_id, wish)), 201


@runs.post("/<run_id>/resume", responses={"200": RunOut}, summary="Let a stopped run go on")
@needs("runs:write")
@once
def resume(path: RunPath) -> dict[str, Any]:
    """Let a run go on that stands still because its code meets other steps than it remembers; 409 for any other."""
    return run_json(rooms().operator.resume(tenant_id(), path.run_id, signal_id=own_id("evt")))
