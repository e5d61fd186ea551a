"""The pages of bulk actions: the list, a new one with its count before it begins, and one with its progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.errors import ConfigError, ConflictError
from celeriac.platform.durable.bulk import BulkKind, Count
from celeriac.web import acting
from celeriac.web.auth import needs, tenant_id
from celeriac.web.dashboard.filters import given_filters, shown_filter
from celeriac.web.dashboard.frame import dashboard, template_of, tenant
from celeriac.web.dashboard.pages import STATUSES
from celeriac.web.paging import page_of_actions
from celeriac.web.rooms import rooms

_PAGE = 50


@dashboard.get("/bulk")
@needs("runs:read")
def bulk() -> str:
    """List bulk actions, newest first."""
    cursor = request.args.get("cursor") or None
    found, next_cursor = page_of_actions(limit=_PAGE, cursor=cursor)
    return render_template(template_of("bulk"), actions=found, cursor=cursor, next_cursor=next_cursor, tenant=tenant())


@dashboard.get("/bulk/new")
@needs("runs:write")
def new_action() -> str:
    """Ask for a filter, and say how many runs it takes."""
    return _form(request.args)


@dashboard.post("/bulk")
@needs("runs:write")
def begin_action() -> AnyResponse:
    """Begin the action that was counted, and go to it."""
    filters = given_filters(request.form)
    where, refusal = shown_filter(filters)
    if where is not None:
        try:
            action = acting.begin_action(_kind(request.form), where)
            return redirect(url_for("dashboard.action", action_id=action.id), 303)
        except (ConfigError, ConflictError) as error:
            refusal = error.message
    return Response(_form(request.form, refusal), 422)


@dashboard.get("/bulk/<action_id>")
@needs("runs:read")
def action(action_id: str) -> str:
    """Show how far an action has come."""
    found = rooms().operations.action(tenant_id(), action_id)
    return render_template(template_of("action"), action=found, tenant=tenant())


@dashboard.post("/bulk/<action_id>/abort")
@needs("runs:write")
def abort_action(action_id: str) -> AnyResponse:
    """Let an action go no further, and go back to it."""
    acting.abort_action(action_id)
    return redirect(url_for("dashboard.action", action_id=action_id), 303)


def _form(given: Mapping[str, str], refusal: str | None = None) -> str:
    filters, kind = given_filters(given), _kind(given)
    where, problem = shown_filter(filters)
    count: Count | None = None
    refusal = refusal or (problem if filters else None)
    if where is not None and refusal is None and filters:
        try:
            count = rooms().operator.count(tenant_id(), kind, where)
        except ConfigError as error:
            refusal = error.message
    return render_template(
        "new_action.html",
        kind=kind,
        filters=filters,
        count=count,
        refusal=refusal,
        statuses=STATUSES,
        functions=[one.name for one in rooms().reads.declared(tenant_id())],
        tenant=tenant(),
    )


def _kind(given: Mapping[str, str]) -> BulkKind:
    kind = given.get("kind", "cancel")
    return cast("BulkKind", kind) if kind in get_args(BulkKind) else "cancel"
