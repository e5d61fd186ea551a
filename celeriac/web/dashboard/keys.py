"""The page of keys: made, replaced and revoked by people. A new key is shown once, in the answer itself."""

from __future__ import annotations

from typing import get_args

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.errors import ConfigError, ConflictError
from celeriac.tenants.keys import KeyKind, KeyWish
from celeriac.tenants.roles import Scope, SigningScope
from celeriac.web.auth import actor, caller, needs, tenant_id
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.reach import check_reach
from celeriac.web.rooms import rooms
from celeriac.web.sealing import check_sealing

#: how long keys may last and overlap, as the forms offer it
EXPIRIES = {"": "Never", "1d": "In a day", "30d": "In 30 days", "90d": "In 90 days", "365d": "In a year"}
OVERLAPS = {"0s": "at once", "1h": "in an hour", "24h": "in a day", "7d": "in a week"}


@dashboard.get("/settings/keys")
@needs("keys:read")
def keys() -> str:
    """List the keys, newest first."""
    return _page()


@dashboard.post("/settings/keys")
@needs("keys:write")
def create_key() -> AnyResponse:
    """Make a key and show it this once."""
    form = request.form
    kind, scopes = form.get("kind", "api"), form.getlist("scopes")
    try:
        wish = KeyWish.of(
            kind,
            name=form.get("name", ""),
            scopes=scopes if form.get("reach") == "some" else None,
            lasts=form.get("expires") or None,
        )
        check_reach(wish.kind, wish.scopes, wish.ends_at)
        if wish.kind == "signing":
            check_sealing()
        shown = rooms().keys.create(tenant_id(), wish, actor=actor(), until=caller().ends_at)[1]
    except (ConfigError, ConflictError) as error:
        return _refused(error)
    return Response(_page(shown=shown), 201)


@dashboard.post("/settings/keys/<key_id>/rotate")
@needs("keys:write")
def rotate_key(key_id: str) -> AnyResponse:
    """Make a successor and show it this once."""
    old = rooms().keys.get(tenant_id(), key_id)
    check_reach(old.kind, old.scopes, old.expires_at)
    if old.kind == "signing":
        check_sealing()
    try:
        overlap, until = request.form.get("overlap", "24h"), caller().ends_at
        shown = rooms().keys.rotate(key_id, overlap, tenant_id=tenant_id(), actor=actor(), until=until)[1]
    except (ConfigError, ConflictError) as error:
        return _refused(error)
    return Response(_page(shown=shown), 201)


@dashboard.post("/settings/keys/<key_id>/revoke")
@needs("keys:write")
def revoke_key(key_id: str) -> AnyResponse:
    """Refuse a key from now on, and go back to the list."""
    rooms().keys.revoke(key_id, tenant_id=tenant_id(), actor=actor())
    return redirect(url_for("dashboard.keys"), 303)


def _refused(error: ConfigError | ConflictError) -> Response:
    """Show the page with the reason: 422 for what cannot be, 409 for what stands in the way, as the API does."""
    return Response(_page(refusal=error.message), 422 if isinstance(error, ConfigError) else 409)


def _page(*, shown: str | None = None, refusal: str | None = None) -> str:
    return render_template(
        "keys.html",
        keys=rooms().keys.list(tenant_id()),
        shown=shown,
        refusal=refusal,
        kinds=get_args(KeyKind),
        scopes=[scope for scope in get_args(Scope) if scope in caller().permissions],
        signing_scopes=get_args(SigningScope),
        expiries=EXPIRIES,
        overlaps=OVERLAPS,
        tenant=tenant(),
    )
