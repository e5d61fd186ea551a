"""The page of people: who belongs to the tenant, their roles, and invitations; and the switch between tenants."""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.errors import ConfigError, ConflictError
from celeriac.tenants.roles import ROLES, Role, check_role, may_change
from celeriac.web.auth import actor, caller, invitation_link, needs, switch_tenant, tenant_id
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.problems import Problem
from celeriac.web.proxies import public_url
from celeriac.web.rooms import rooms


@dashboard.get("/settings/people")
@needs("people:read")
def people() -> str:
    """List who belongs to the tenant, and who is invited."""
    return _page()


@dashboard.post("/settings/people")
@needs("people:write")
def invite() -> AnyResponse:
    """Invite somebody and show the link this once."""
    try:
        role, email = check_role(request.form.get("role", "")), request.form.get("email", "")
        _check(role)
        _, token = rooms().invitations.create(tenant_id(), email, role, actor=actor(), may=caller().permissions)
    except (ConfigError, ConflictError) as error:
        return _refused(error)
    return Response(_page(shown=invitation_link(public_url(), token)), 201)


@dashboard.post("/settings/people/<user_id>/role")
@needs("people:write")
def change_role(user_id: str) -> AnyResponse:
    """Give a member another role."""
    try:
        role = check_role(request.form.get("role", ""))
        rooms().people.change_role(tenant_id(), user_id, role, actor=actor(), may=caller().permissions)
    except (ConfigError, ConflictError) as error:
        return _refused(error)
    return redirect(url_for("dashboard.people"), 303)


@dashboard.post("/settings/people/<user_id>/remove")
@needs("people:write")
def remove_member(user_id: str) -> AnyResponse:
    """Let a member belong to the tenant no more."""
    try:
        rooms().people.remove(tenant_id(), user_id, actor=actor(), may=caller().permissions)
    except ConflictError as error:
        return _refused(error)
    return redirect(url_for("dashboard.people"), 303)


@dashboard.post("/settings/invitations/<invitation_id>/withdraw")
@needs("people:write")
def withdraw(invitation_id: str) -> AnyResponse:
    """Let an invitation be good for nothing."""
    _check(rooms().invitations.get(tenant_id(), invitation_id).role)
    rooms().invitations.take_back(tenant_id(), invitation_id, actor=actor())
    return redirect(url_for("dashboard.people"), 303)


@dashboard.post("/tenant")
@needs("runs:read")
def switch() -> AnyResponse:
    """Let the session act for another tenant of its user."""
    if not switch_tenant(request.form.get("tenant", "")):
        raise Problem(404, "not_found", "You belong to no tenant of this id")
    return redirect(url_for("dashboard.runs"), 303)


def _refused(error: ConfigError | ConflictError) -> Response:
    """Show the page with the reason."""
    status = 422 if isinstance(error, ConfigError) else 403 if error.code == "owners_only" else 409
    return Response(_page(refusal=error.message), status)


def _check(role: Role) -> None:
    if not may_change(caller().permissions, role):
        raise Problem(403, "access_denied", "Only an owner may make, change or remove owners")


def _page(*, shown: str | None = None, refusal: str | None = None) -> str:
    return render_template(
        "people.html",
        members=rooms().people.members(tenant_id()),
        invitations=rooms().invitations.open_ones(tenant_id()),
        roles=[role for role in ROLES if may_change(caller().permissions, role)],
        shown=shown,
        refusal=refusal,
        tenant=tenant(),
    )
