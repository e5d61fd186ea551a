"""The frame of the dashboard: its blueprint, who may look at it, and what its pages have in common.

A page that refreshes itself asks for its own address again with the header `X-Fragment` and gets only the part that
changes.
"""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from celeriac.tenants.tenant import Tenant
from celeriac.web.auth import check_same_site, is_signed_in, tenant_id
from celeriac.web.rooms import rooms

dashboard = Blueprint("dashboard", __name__)


@dashboard.before_request
def require_session() -> Response | None:
    """Send people who are not signed in to the form, and refuse forms of other sites."""
    if not is_signed_in():
        return redirect(url_for("signin.form", next=request.full_path.rstrip("?")), 303)
    if request.method == "POST":
        check_same_site(request)
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
