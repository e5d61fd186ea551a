"""The page of people: who belongs to the tenant, their roles, and invitations; and the switch between tenants."""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.people import Member
from celeriac.tenants.roles import ROLES, Role, check_role, may_change
from celeriac.web.auth import actor, caller, invitation_link, needs, switch_tenant, tenant_id
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.problems import Problem
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
        role = _grantable(request.form.get("role", ""))
        email, may = request.form.get("email", ""), caller().permissions
        _, token = rooms().invitations.create(tenant_id(), email, role, actor=actor(), may=may)
    except ConfigError as error:
        return Response(_page(refusal=error.message), 422)
    except ConflictError as error:
        return Response(_page(refusal=error.message), 409)
    return Response(_page(shown=invitation_link(request.host_url, token)), 201)


@dashboard.post("/settings/people/<user_id>/role")
@needs("people:write")
def change_role(user_id: str) -> AnyResponse:
    """Give a member another role."""
    try:
        role = _grantable(request.form.get("role", ""), _member(user_id).role)
        rooms().people.set_role(tenant_id(), user_id, role, actor=actor())
    except (ConfigError, ConflictError) as error:
        return Response(_page(refusal=error.message), 409)
    return redirect(url_for("dashboard.people"), 303)


@dashboard.post("/settings/people/<user_id>/remove")
@needs("people:write")
def remove_member(user_id: str) -> AnyResponse:
    """Let a member belong to the tenant no more."""
    _check(_member(user_id).role)
    try:
        rooms().people.remove(tenant_id(), user_id, actor=actor())
    except ConflictError as error:
        return Response(_page(refusal=error.message), 409)
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


def _member(user_id: str) -> Member:
    for member in rooms().people.members(tenant_id()):
        if member.user.id == user_id:
            return member
    raise NotFoundError(f"There is no member {user_id!r}")


def _grantable(given: str, *others: Role | None) -> Role:
    role = check_role(given)
    _check(role, *others)
    return role


def _check(*roles: Role | None) -> None:
    if not may_change(caller().permissions, *roles):
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
