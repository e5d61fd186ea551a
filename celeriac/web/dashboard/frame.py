"""The frame of the dashboard: its blueprint, who may look at it, and what its pages have in common.

A page that refreshes itself asks for its own address again with the header `X-Fragment` and gets only the part that
changes.
"""

from __future__ import annotations

from flask import Blueprint, g, redirect, request, url_for
from werkzeug.wrappers import Response

from celeriac.tenants.people import Place
from celeriac.tenants.tenant import Tenant
from celeriac.web.auth import (
    caller,
    check_permission,
    check_same_site,
    count_request_by_key,
    is_signed_in,
    may,
    tenant_id,
)
from celeriac.web.rooms import rooms

dashboard = Blueprint("dashboard", __name__)


@dashboard.before_request
def require_session() -> Response | None:
    """Send people who are not signed in to the form, and refuse forms of other sites and what a role may not do.

    And what is beyond the tenant's limit of requests, where a key signed in: else its session would be a way around.
    """
    if not is_signed_in():
        return redirect(url_for("signin.form", next=request.full_path.rstrip("?")), 303)
    count_request_by_key()
    if request.method == "POST":
        check_same_site(request)
    check_permission()
    return None


def template_of(page: str) -> str:
    """Return the template of the page, or of its part that changes."""
    return f"_{page}.html" if is_refresh() else f"{page}.html"


def is_refresh() -> bool:
    """Say whether only the part that changes is asked for; nothing is read for the rest of the page."""
    return "X-Fragment" in request.headers


def tenant() -> Tenant | None:
    """Return who is signed in, for the head of a page; None where there is no head."""
    return None if is_refresh() else rooms().tenants.get(tenant_id())


def emails_of_members() -> dict[str, str]:
    """Return the e-mails of who belongs to the tenant, by how the audit log names them, for who may see people."""
    if not may("people:read"):
        return {}
    return {f"user:{member.user.id}": member.user.email for member in rooms().people.members(tenant_id())}


@dashboard.app_context_processor
def places() -> dict[str, object]:
    """Give pages the tenants that whoever is signed in may switch to, who that is, and whether there is anybody.

    A page that refuses somebody has no tenant, and yet a way out.
    """

    def others() -> list[Place]:
        member = caller().member if "caller" in g else None
        return [] if member is None else rooms().people.places(member.user)

    is_here = "caller" in g
    member = g.caller.member if is_here else None
    return {"places": others, "me": None if member is None else member.user, "is_here": is_here}
