"""The pages of settings: which there are, and the way to the first of them that somebody may see."""

from __future__ import annotations

from flask import redirect, url_for
from werkzeug.wrappers import Response

from celeriac.tenants.roles import Permission
from celeriac.web.auth import may, needs
from celeriac.web.dashboard.frame import dashboard
from celeriac.web.problems import Problem

#: view, name and what it asks for, in the order of the pages
_PAGES: tuple[tuple[str, str, Permission], ...] = (
    ("dashboard.keys", "Keys", "keys:read"),
    ("dashboard.people", "People", "people:read"),
    ("dashboard.audit", "Audit log", "audit:read"),
)


@dashboard.get("/settings")
@needs("runs:read")
def settings() -> Response:
    """Go to the first page of settings."""
    for page, _ in settings_pages():
        return redirect(url_for(page), 303)
    raise Problem(404, "not_found", "There are no settings that you may see")


@dashboard.app_context_processor
def in_pages() -> dict[str, object]:
    """Let pages link what there is."""
    return {"settings_pages": settings_pages}


def settings_pages() -> list[tuple[str, str]]:
    """Return view and name of the pages that whoever is signed in may see."""
    return [(view, name) for view, name, permission in _PAGES if may(permission)]
