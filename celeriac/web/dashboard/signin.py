"""Signing in and out of the dashboard: by e-mail and password, by API key, or by the link that the CLI prints.

And joining a tenant by an invitation. Passwords are tried so often and no more, by account and by address.
"""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.errors import ConfigError
from celeriac.web.auth import (
    check_same_site,
    open_to_all,
    sign_in_as,
    sign_in_by_key,
    sign_in_by_link,
)
from celeriac.web.rooms import rooms
from celeriac.web.trying import note_right, note_wrong, wait_for_try

signin = Blueprint("signin", __name__)


@signin.get("/signin")
@open_to_all
def form() -> str:
    """Show the form."""
    return _page(request.args.get("next", ""))


@signin.post("/signin")
@open_to_all
def by_key() -> AnyResponse:
    """Begin a session for the tenant of the key."""
    check_same_site(request)
    onward = request.form.get("next", "")
    if sign_in_by_key(request.form.get("key", "").strip()):
        return _go(onward)
    note_wrong("a key")
    refusal = "This is no API key that we know. Make one with “celeriac keys create <tenant> --kind api”."
    return Response(_page(onward, refusal), 401)


@signin.post("/signin/password")
@open_to_all
def by_password() -> AnyResponse:
    """Begin a session of the user with this e-mail and password."""
    check_same_site(request)
    onward, email = request.form.get("next", ""), request.form.get("email", "").strip().lower()
    if (wait := wait_for_try(email)) is not None:
        return Response(_page(onward, _patience(wait), email), 429, {"Retry-After": str(wait)})
    user = rooms().people.sign_in(email, request.form.get("password", ""))
    if user is None:
        note_wrong(email)
        return Response(_page(onward, "E-mail and password do not belong together.", email), 401)
    note_right(email)
    places = rooms().people.places(user, most=1)
    if not places:
        refusal = "You belong to no tenant at the moment. An admin of yours can invite you again."
        return Response(_page(onward, refusal, email), 403)
    sign_in_as(user, places[0].tenant_id, by="password")
    return _go(onward)


@signin.get("/signin/link")
@open_to_all
def by_link() -> AnyResponse:
    """Begin a session by a link; a look ahead (HEAD) does not use it up."""
    if request.method == "GET" and sign_in_by_link(request.args.get("token", "")):
        return redirect(url_for("dashboard.runs"), 303)
    note_wrong("a link")
    refusal = "This link was used already or is older than ten minutes. Ask for a new one, or use an API key."
    return Response(_page("", refusal), 401)


@signin.get("/invitation")
@open_to_all
def invitation() -> AnyResponse:
    """Show what somebody is invited to; looking does not use the invitation up."""
    return _invitation(request.args.get("token", ""), refusal=None, status=200)


@signin.post("/invitation")
@open_to_all
def accept() -> AnyResponse:
    """Join the tenant, and begin a session there."""
    check_same_site(request)
    token = request.form.get("token", "")
    opened = rooms().invitations.opened(token)
    if opened is None:
        return _invitation(token, refusal=None, status=401)
    if (wait := wait_for_try(opened.email)) is not None:
        answer = _invitation(token, refusal=_patience(wait), status=429)
        answer.headers["Retry-After"] = str(wait)
        return answer
    try:
        joined = rooms().invitations.accept(token, request.form.get("password", ""))
    except ConfigError as error:
        return _invitation(token, refusal=error.message, status=422)
    if joined is None:
        note_wrong(opened.email)
        return _invitation(
            token, refusal="There is an account of this address, and this is not its password.", status=401
        )
    note_right(opened.email)
    user, tenant = joined
    sign_in_as(user, tenant, by="invitation")
    return redirect(url_for("dashboard.runs"), 303)


@signin.post("/signout")
@open_to_all
def out() -> AnyResponse:
    """End the session."""
    check_same_site(request)
    session.clear()
    return redirect(url_for("signin.form"), 303)


def _page(onward: str, refusal: str | None = None, email: str = "") -> str:
    return render_template("signin.html", onward=onward, refusal=refusal, email=email)


def _invitation(token: str, *, refusal: str | None, status: int) -> Response:
    opened = rooms().invitations.opened(token)
    page = render_template("invitation.html", opened=opened, token=token, refusal=refusal)
    return Response(page, status if opened is not None else 401)


def _patience(wait: int) -> str:
    return f"That was tried too often. Try again in {wait} seconds."


def _go(onward: str) -> AnyResponse:
    return redirect(onward if _is_local(onward) else url_for("dashboard.runs"), 303)


def _is_local(path: str) -> bool:
    """Only a path of ours may be gone to; `//host` and a backslash lead elsewhere."""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
