"""The page of one's own account: another password, which ends all other sessions."""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.errors import ConfigError
from celeriac.tenants.people import User
from celeriac.web.auth import actor, caller, needs, sign_in_as, tenant_id
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms
from celeriac.web.trying import note_right, note_wrong, wait_for_try


@dashboard.get("/account")
@needs("runs:read")
def account() -> str:
    """Show the form."""
    return _page(_user())


@dashboard.post("/account")
@needs("runs:read")
def change_password() -> AnyResponse:
    """Give oneself another password; the old one has to be told, and may be tried as often as at the sign-in."""
    user, given, people = _user(), request.form, rooms().people
    if (wait := wait_for_try(user.email)) is not None:
        refusal = f"That was tried too often. Try again in {wait} seconds."
        return Response(_page(user, refusal), 429, {"Retry-After": str(wait)})
    if people.sign_in(user.email, given.get("current", "")) is None:
        note_wrong(user.email)
        return Response(_page(user, "This is not your present password."), 422)
    note_right(user.email)
    try:
        people.set_password(user.id, given.get("password", ""), actor=actor())
    except ConfigError as error:
        return Response(_page(user, error.message), 422)
    sign_in_as(people.named(user.email), tenant_id(), by="password")
    return redirect(url_for("dashboard.runs"), 303)


def _user() -> User:
    member = caller().member
    if member is None:
        raise Problem(404, "not_found", "You came by a key or a link, and have no account here")
    return member.user


def _page(user: User, refusal: str | None = None) -> str:
    return render_template("account.html", user=user, refusal=refusal, tenant=tenant())
