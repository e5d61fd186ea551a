"""Who asks: keys for the API, signed sessions and one-time links for the dashboard.

The tenant of a request comes from here and from nowhere else. Views ask `tenant_id()`; the CLI asks `signin_link`.
Keys are checked by the tenants room; nothing here stores or prints one.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature, URLSafeTimedSerializer

from celeriac.errors import RefusedError
from celeriac.web.problems import Problem
from celeriac.web.rooms import hints, rooms

#: how long a sign-in link may be used, once
LINK_GOOD_FOR = timedelta(minutes=10)

#: how long a session lasts from the sign-in on, however much it is used
SESSION_GOOD_FOR = timedelta(hours=12)

_LONGEST_KEY = 200


class _Sessions(SecureCookieSessionInterface):
    """Flask's signed cookie; it is marked secure exactly where the request came over TLS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def prepare_sessions(app: Flask, secret_key: str) -> None:
    """Set up the session cookie of the dashboard."""
    app.secret_key = secret_key
    app.session_interface = _Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="celeriac_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=SESSION_GOOD_FOR,
        SESSION_REFRESH_EACH_REQUEST=False,
    )


def tenant_id() -> str:
    """Return the tenant that this request acts for; it was set by one of the checks below."""
    return str(g.tenant_id)


# -- the API --------------------------------------------------------------------------------------------------------


def admit_bearer(*kinds: Literal["api", "event"]) -> None:
    """Admit the request by its bearer key if the key is of one of these kinds; raise `Problem` otherwise."""
    scheme, _, plaintext = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unknown_key("Send the header Authorization: Bearer <API key>")
    _admit(plaintext.strip(), kinds)


def admit_event_key(plaintext: str) -> None:
    """Admit the request by the event key in its path; other kinds do not belong into URLs."""
    _admit(plaintext, ("event",))


def _admit(plaintext: str, kinds: tuple[str, ...]) -> None:
    key = rooms().keys.verify(plaintext) if _may_be_key(plaintext) else None
    if key is None:
        raise _unknown_key("This key is unknown or revoked; `celeriac keys create` makes a new one")
    if key.kind not in kinds:
        raise Problem(403, "access_denied", f"A key of kind {key.kind!r} may not do this; use one of kind {kinds[0]!r}")
    g.tenant_id = key.tenant_id
    try:
        g.rate_level = rooms().meter.admit_request(key.tenant_id)
    except RefusedError:
        g.rate_level = rooms().meter.no_requests_left(key.tenant_id)
        raise


def _may_be_key(plaintext: str) -> bool:
    return 0 < len(plaintext) <= _LONGEST_KEY and plaintext.isascii() and plaintext.isprintable()


def _unknown_key(detail: str) -> Problem:
    return Problem(401, "invalid_api_key", detail, headers={"WWW-Authenticate": 'Bearer realm="celeriac"'})


# -- the dashboard --------------------------------------------------------------------------------------------------


def sign_in_by_key(plaintext: str) -> bool:
    """Begin a session for the tenant of this API key; False where it is none."""
    key = rooms().keys.verify(plaintext) if _may_be_key(plaintext) else None
    if key is None or key.kind != "api":
        return False
    _begin_session(key.tenant_id, key.id)
    return True


def sign_in_by_link(token: str) -> bool:
    """Begin a session by a link; False where it is forged, too old, or used already."""
    try:
        payload = _signer(rooms().settings.secret_key).loads(token, max_age=int(LINK_GOOD_FOR.total_seconds()))
        tenant, nonce = str(payload["tenant_id"]), str(payload["nonce"])
    except (BadSignature, KeyError, TypeError):
        return False
    if not hints().use_once(tenant, nonce, LINK_GOOD_FOR):
        return False
    _begin_session(tenant, None)
    return True


def signin_link(base_url: str, tenant_id: str, secret_key: str) -> str:
    """Make a link that signs its holder in to the tenant's dashboard, once, within ten minutes."""
    token = _signer(secret_key).dumps({"tenant_id": tenant_id, "nonce": secrets.token_urlsafe(12)})
    return f"{base_url.rstrip('/')}/signin/link?token={token}"


def is_signed_in() -> bool:
    """Say whether the request carries a session that is good, and let it act for the session's tenant.

    It ends by its time, and within a second after the key that began it is revoked.
    """
    if "tenant_id" not in session or session.get("ends_at", 0) <= datetime.now(UTC).timestamp():
        return False
    key_id = session.get("key_id")
    if key_id is not None and not rooms().keys.is_active(key_id):
        return False
    g.tenant_id = session["tenant_id"]
    return True


def csrf_token() -> str:
    """Return the token that forms of this session must carry."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def check_same_site(asked: Request) -> None:
    """Refuse a form that another site sent, or that lacks its session's token."""
    site = asked.headers.get("Sec-Fetch-Site", "same-origin")
    origin = asked.headers.get("Origin")
    is_foreign = site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc != asked.host)
    given = asked.form.get("csrf", "").encode()
    if is_foreign or not secrets.compare_digest(given, csrf_token().encode()):
        raise Problem(403, "access_denied", "This form is too old or came from another site; load the page again")


def _begin_session(tenant: str, key_id: str | None) -> None:
    session.clear()
    session.permanent = True
    ends_at = datetime.now(UTC) + SESSION_GOOD_FOR
    session.update(tenant_id=tenant, key_id=key_id, ends_at=ends_at.timestamp())


def _signer(secret_key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_key, salt="signin")
