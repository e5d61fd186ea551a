"""Bulk actions: cancel many runs, or do them again, by a filter; workers carry them out."""

from __future__ import annotations

from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from celeriac.web.acting import abort_action, begin_action
from celeriac.web.api.answers import action_json
from celeriac.web.api.models import BODY, PageQuery, refusals
from celeriac.web.api.operation_models import BulkIn, BulkOut, BulkPage, BulkPath, CountOut
from celeriac.web.auth import needs, tenant_id
from celeriac.web.filters import refusing, run_filter
from celeriac.web.once import once
from celeriac.web.paging import page_of_actions
from celeriac.web.rooms import rooms

bulk = APIBlueprint(
    "bulk",
    __name__,
    url_prefix="/v1/bulk",
    abp_tags=[Tag(name="bulk", description="one wish about many runs")],
    abp_security=[{"key": []}],
    abp_responses=refusals("404", "409", *BODY),
)


@bulk.post("", responses={"200": CountOut, "202": BulkOut}, summary="Cancel many runs, or do them again")
@needs("runs:write")
@once
def begin(body: BulkIn) -> tuple[dict[str, Any], int]:
    """Begin an action on the runs that are there now: 202. A dry run only counts them: 200."""
    where = run_filter(body.filter, status=422)
    with refusing(422):
        if body.dry_run:
            count = rooms().operator.count(tenant_id(), body.kind, where)
            return {"total": count.total, "is_exact": count.is_exact}, 200
        return action_json(begin_action(body.kind, where)), 202


@bulk.get("", responses={"200": BulkPage}, summary="List bulk actions")
@needs("runs:read")
def list_actions(query: PageQuery) -> dict[str, Any]:
    """List the tenant's actions, newest first."""
    found, cursor = page_of_actions(limit=query.limit, cursor=query.cursor)
    position = {"next_cursor": cursor, "has_more": cursor is not None, "limit": query.limit}
    return {"data": [action_json(action) for action in found], "page": position}


@bulk.get("/<action_id>", responses={"200": BulkOut}, summary="Get a bulk action")
@needs("runs:read")
def get_action(path: BulkPath) -> dict[str, Any]:
    """Return one action with its progress."""
    return action_json(rooms().operations.action(tenant_id(), path.action_id))


@bulk.post("/<action_id>/abort", responses={"200": BulkOut}, summary="Abort a bulk action")
@needs("runs:write")
@once
def abort(path: BulkPath) -> dict[str, Any]:
    """Let it go no further; what is done stays done, and one that is over stays as it is."""
    return action_json(abort_action(path.action_id))
