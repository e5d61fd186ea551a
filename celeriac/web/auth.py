"""Who asks, and whether they may: keys for the API, signed sessions and one-time links for the dashboard.

The tenant of a request comes from here and from nowhere else. Every view declares with `needs` which permission it asks
for, or with `open_to_all` that it asks for none; both are checked here, before the view is called. Views ask
`tenant_id()`; the CLI asks `signin_link`. Keys and passwords are checked by the tenants room; nothing here stores or
prints one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, Request, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature, URLSafeTimedSerializer

from celeriac.errors import RefusedError
from celeriac.tenants.keys import ApiKey, KeyKind
from celeriac.tenants.people import Member, User
from celeriac.tenants.roles import EVERYTHING, SCOPES, Permission
from celeriac.web.problems import Problem
from celeriac.web.proxies import is_secure
from celeriac.web.rooms import hints, rooms

#: how long a sign-in link may be used, once
LINK_GOOD_FOR = timedelta(minutes=10)

#: how long a session lasts from the sign-in on, however much it is used
SESSION_GOOD_FOR = timedelta(hours=12)

_LONGEST_KEY = 200

#: how somebody came to a tenant
_How = Literal["password", "invitation", "key", "link", "switch"]

#: what a session carries that began with a link, in place of a user or a key
_LINK: Literal["link"] = "link"

View = TypeVar("View", bound=Callable[..., Any])

#: where a view keeps what it declared
_NEED, _KEY_IN_PATH = "__celeriac_need__", "__celeriac_key_in_path__"

_OPEN = "nothing"

#: blueprints for people, who come with a session in place of a key; `dashboard/frame.py` asks for it
_OF_PEOPLE = ("dashboard", "signin")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks: for which tenant, as whom, and what they may."""

    tenant_id: str
    #: as the audit log names them
    actor: str
    permissions: frozenset[str]
    #: None: a key, or a link of the operator
    member: Member | None = None
    #: when the key ends by which they came; None: never, or they came by none
    ends_at: datetime | None = None


# -- what views declare -----------------------------------------------------------------------------------------------


def needs(permission: Permission, *, key_in_path: str | None = None) -> Callable[[View], View]:
    """Declare which permission a view asks for; `key_in_path` names the part of its path that holds an event key."""

    def declared(view: View) -> View:
        setattr(view, _NEED, permission)
        setattr(view, _KEY_IN_PATH, key_in_path)
        return view

    return declared


def open_to_all(view: View) -> View:
    """Declare that a view is for everybody."""
    setattr(view, _NEED, _OPEN)
    return view


def need_of(view: Callable[..., Any] | None) -> str | None:
    """Return the permission that the view asks for, "" where it is open to all; None where it has declared nothing."""
    need = getattr(view, _NEED, None)
    return "" if need == _OPEN else need


def _view() -> Callable[..., Any] | None:
    return current_app.view_functions.get(request.endpoint or "")


class _Sessions(SecureCookieSessionInterface):
    """Flask's signed cookie; it is marked secure exactly where people come over TLS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return is_secure()


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


def caller() -> Caller:
    """Return who asks."""
    return cast("Caller", g.caller)


def actor() -> str:
    """Return who asks, as the audit log names them."""
    return caller().actor


def came_by() -> KeyKind:
    """Return the kind of the key by which the request was admitted."""
    return cast("KeyKind", g.key_kind)


def may(permission: Permission) -> bool:
    """Say whether whoever asks has this permission."""
    return "caller" in g and permission in caller().permissions


# -- the API --------------------------------------------------------------------------------------------------------


def admit() -> None:
    """Admit a request by its key, if that may do what the view is for; raise `Problem` otherwise.

    A view that has declared nothing is for keys that may do everything: forgetting it opens no door.
    """
    if request.endpoint in (None, "static") or request.blueprint in _OF_PEOPLE:
        return
    view = _view()
    need = need_of(view)
    if need == "":
        return
    if (place := getattr(view, _KEY_IN_PATH, None)) is not None:
        admit_event_key((request.view_args or {})[place])
    else:
        admit_bearer()
    allowed = caller().permissions
    if need not in allowed if need is not None else not allowed >= SCOPES:
        what = f"the scope {need!r}" if need is not None else "a key without scopes"
        raise Problem(403, "access_denied", f"This key may not do this; it needs {what}")


def admit_bearer() -> None:
    """Know the caller by the bearer key; raise `Problem` otherwise."""
    scheme, _, plaintext = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unknown_key("Send the header Authorization: Bearer <API key>")
    _know(plaintext.strip())


def admit_event_key(plaintext: str) -> None:
    """Admit the request by the event key in its path; other kinds do not belong into URLs."""
    _know(plaintext, only="event")


def _know(plaintext: str, *, only: KeyKind | None = None) -> None:
    key = rooms().keys.verify(plaintext) if _may_be_key(plaintext) else None
    if key is None:
        raise _unknown_key("This key is unknown, expired or revoked; `celeriac keys create` makes a new one")
    if only is not None and key.kind != only:
        raise Problem(403, "access_denied", f"A key of kind {key.kind!r} may not do this; use one of kind {only!r}")
    g.key_kind = key.kind
    _act_as(_caller_by_key(key))
    _count_request()


def _count_request() -> None:
    """Take the request off what the tenant's keys may send; raise `RefusedError` where nothing is left."""
    try:
        g.rate_level = rooms().meter.admit_request(tenant_id())
    except RefusedError:
        g.rate_level = rooms().meter.no_requests_left(tenant_id())
        raise


def _caller_by_key(key: ApiKey) -> Caller:
    who = f"key:{key.id}"
    return Caller(tenant_id=key.tenant_id, actor=who, permissions=key.scopes, ends_at=key.expires_at)


def _act_as(who: Caller) -> None:
    g.caller, g.tenant_id = who, who.tenant_id


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
    _begin_session(key.tenant_id, f"key:{key.id}", by="key", key_id=key.id)
    return True


def sign_in_as(user: User, tenant: str, *, by: Literal["password", "invitation"]) -> None:
    """Begin a session of a user who has shown who they are, for a tenant that they belong to."""
    _begin_session(tenant, f"user:{user.id}", by=by, user_id=user.id, stamp=user.session_stamp)


def switch_tenant(tenant: str) -> bool:
    """Let the session of a user act for another tenant; False where they do not belong to it, or it is no user's.

    Raises `NotFoundError` where there is no such tenant.
    """
    user_id, stamp = session.get("user_id"), session.get("stamp", "")
    if user_id is None or rooms().people.session(user_id, tenant, stamp) is None:
        return False
    rooms().tenants.get(tenant)  # of a platform admin nothing is asked but whether there is one
    session["tenant_id"] = tenant
    _note_arrival(tenant, f"user:{user_id}", "switch")
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
    _begin_session(tenant, "cli:link", by=_LINK)
    return True


def signin_link(base_url: str, tenant_id: str, secret_key: str) -> str:
    """Make a link that signs its holder in to the tenant's dashboard, once, within ten minutes."""
    token = _signer(secret_key).dumps({"tenant_id": tenant_id, "nonce": secrets.token_urlsafe(12)})
    return f"{base_url.rstrip('/')}/signin/link?token={token}"


def invitation_link(base_url: str, token: str) -> str:
    """Make the link by which an invitation is accepted."""
    return f"{base_url.rstrip('/')}/invitation?token={token}"


def is_signed_in() -> bool:
    """Say whether the request carries a session that is good, and let it act for the session's tenant.

    It ends by its time, and within a second after the key that began it is revoked, or its user is disabled, gets
    another password, or belongs to the tenant no more.
    """
    if "tenant_id" not in session or session.get("ends_at", 0) <= datetime.now(UTC).timestamp():
        return False
    who = _caller_of_session(session["tenant_id"])
    if who is not None:
        _act_as(who)
    return who is not None


def count_request_by_key() -> None:
    """Count a request of a session that a key began as one of the key's; raise `RefusedError` as the API does."""
    if "key_id" in session:
        _count_request()


def check_permission() -> None:
    """Refuse what whoever is signed in may not do; raise `Problem`.

    A view that has declared nothing may be looked at; to change something by it is for owners.
    """
    need = need_of(_view())
    if need is None:
        need = "runs:read" if request.method in ("GET", "HEAD") else "tenant:write"
    if need and need not in caller().permissions:
        raise Problem(403, "access_denied", "Your role may not do this; an admin can give you another one")


def _caller_of_session(tenant: str) -> Caller | None:
    user_id, key_id = session.get("user_id"), session.get("key_id")
    if user_id is not None:
        member = rooms().people.session(user_id, tenant, session.get("stamp", ""))
        if member is None:
            return None
        return Caller(tenant_id=tenant, actor=f"user:{user_id}", permissions=member.permissions, member=member)
    if key_id is not None:
        key = rooms().keys.active(key_id)
        return None if key is None or key.tenant_id != tenant else _caller_by_key(key)
    if session.get("by") == _LINK:
        # It was made by somebody with a shell on the installation, who may do everything anyway.
        return Caller(tenant_id=tenant, actor="cli:link", permissions=EVERYTHING)
    return None


def csrf_token() -> str:
    """Return the token that forms of this session must carry."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def check_same_site(asked: Request) -> None:
    """Refuse a form that another site sent, or that lacks its session's token."""
    site = asked.headers.get("Sec-Fetch-Site", "same-origin")
    origin = asked.headers.get("Origin")
    is_foreign = site not in ("same-origin", "none") or (origin is not None and not _is_own(origin, asked))
    given = asked.form.get("csrf", "").encode()
    if is_foreign or not secrets.compare_digest(given, csrf_token().encode()):
        raise Problem(403, "access_denied", "This form is too old or came from another site; load the page again")


def _is_own(origin: str, asked: Request) -> bool:
    """Say whether this is where people reach the web; a proxy may name another host to us than they see."""
    public = rooms().settings.public_url
    return urlsplit(origin).netloc == asked.host if public is None else origin == public


def _begin_session(tenant: str, who: str, *, by: _How, **proof: str) -> None:
    """Begin a session for the tenant, on this proof of who it is, and write it down in the tenant's log."""
    _note_arrival(tenant, who, by)
    session.clear()
    session.permanent = True
    ends_at = datetime.now(UTC) + SESSION_GOOD_FOR
    session.update(tenant_id=tenant, ends_at=ends_at.timestamp(), by=by, **proof)


def _note_arrival(tenant: str, who: str, by: _How) -> None:
    detail = {"by": by, "address": request.remote_addr}
    rooms().audit.note(tenant, actor=who, action="session.began", subject=who.partition(":")[2], detail=detail)


def _signer(secret_key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_key, salt="signin")
