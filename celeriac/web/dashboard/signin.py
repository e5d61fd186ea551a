"""Signing in and out of the dashboard: by API key, or by the one-time link that the CLI prints."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.web.auth import check_same_site, sign_in_by_key, sign_in_by_link

signin = Blueprint("signin", __name__)


@signin.get("/signin")
def form() -> str:
    """Show the form."""
    return render_template("signin.html", onward=request.args.get("next", ""), refusal=None)


@signin.post("/signin")
def by_key() -> AnyResponse:
    """Begin a session for the tenant of the key."""
    check_same_site(request)
    onward = request.form.get("next", "")
    if sign_in_by_key(request.form.get("key", "").strip()):
        return redirect(onward if _is_local(onward) else url_for("dashboard.runs"), 303)
    refusal = "This is no API key that we know. Make one with “celeriac keys create <tenant> --kind api”."
    return Response(render_template("signin.html", onward=onward, refusal=refusal), 401)


@signin.get("/signin/link")
def by_link() -> AnyResponse:
    """Begin a session by a link; a look ahead (HEAD) does not use it up."""
    if request.method == "GET" and sign_in_by_link(request.args.get("token", "")):
        return redirect(url_for("dashboard.runs"), 303)
    refusal = "This link was used already or is older than ten minutes. Ask for a new one, or use an API key."
    return Response(render_template("signin.html", onward="", refusal=refusal), 401)


@signin.post("/signout")
def out() -> AnyResponse:
    """End the session."""
    check_same_site(request)
    session.clear()
    return redirect(url_for("signin.form"), 303)


def _is_local(path: str) -> bool:
    """Only a path of ours may be gone to; `//host` and a backslash lead elsewhere."""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
