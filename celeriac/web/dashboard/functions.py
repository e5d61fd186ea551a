"""The page of functions: what the fleet has declared, and the buttons that pause it for the tenant."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from celeriac.web import acting
from celeriac.web.auth import needs, tenant_id
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.rooms import rooms


@dashboard.get("/functions")
@needs("functions:read")
def functions() -> str:
    """List the functions that events may start."""
    return render_template("functions.html", functions=rooms().reads.declared(tenant_id()), tenant=tenant())


@dashboard.post("/functions/<app>/<function_id>/pause")
@needs("functions:write")
def pause_function(app: str, function_id: str) -> Response:
    """Let events start no runs of a function, and go back to the list."""
    acting.pause_function(app, function_id, is_paused=True)
    return redirect(url_for("dashboard.functions"), 303)


@dashboard.post("/functions/<app>/<function_id>/resume")
@needs("functions:write")
def resume_function(app: str, function_id: str) -> Response:
    """Let events start runs of it again, and go back to the list."""
    acting.pause_function(app, function_id, is_paused=False)
    return redirect(url_for("dashboard.functions"), 303)
