"""The web application: puts views, sessions, problems and headers together over an installation.

`celeriac web` serves what `create_app` returns. Nothing here knows what the views do.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from celeriac.database import answers_within
from celeriac.settings import check_secret_key
from celeriac.web import auth, problems
from celeriac.web.api.approvals import ApprovalsQuery, approvals
from celeriac.web.api.bulk import bulk
from celeriac.web.api.events import events
from celeriac.web.api.functions import functions, signals
from celeriac.web.api.health import health
from celeriac.web.api.key_models import AuditQuery
from celeriac.web.api.keys import audit, keys
from celeriac.web.api.limits import limits
from celeriac.web.api.models import PageQuery, ProblemOut, RunsQuery
from celeriac.web.api.runs import runs
from celeriac.web.api.secrets import secrets as tenant_secrets
from celeriac.web.api.usage import UsageQuery, usage
from celeriac.web.body import MAX_BODY_BYTES, StrictRequest
from celeriac.web.dashboard import account, pages, people, reruns, words
from celeriac.web.dashboard import approvals as approval_pages
from celeriac.web.dashboard import audit as audit_pages
from celeriac.web.dashboard import bulk as bulk_pages
from celeriac.web.dashboard import functions as function_pages
from celeriac.web.dashboard import keys as key_pages
from celeriac.web.dashboard import settings as settings_pages
from celeriac.web.dashboard import usage as usage_pages
from celeriac.web.dashboard.frame import dashboard
from celeriac.web.dashboard.signin import signin
from celeriac.web.hints import Hints
from celeriac.web.problems import Problem
from celeriac.web.proxies import TrustedProxies
from celeriac.web.rates import add_rate_headers
from celeriac.web.rooms import furnish

if TYPE_CHECKING:
    from celeriac.wiring import Installation

#: what the database has for each statement; a request is answered with 503 rather than never
_DATABASE_ANSWERS_WITHIN = timedelta(seconds=5)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

#: whose import puts their views on the dashboard
_PAGES = (
    pages,
    reruns,
    approval_pages,
    bulk_pages,
    function_pages,
    usage_pages,
    settings_pages,
    key_pages,
    people,
    audit_pages,
    account,
)

#: views of the API that take a query, with the names they know; every other one takes none
_QUERIES: dict[str, frozenset[str]] = {
    view: frozenset(field.alias or name for name, field in query.model_fields.items())
    for view, query in (
        ("runs.list_runs", RunsQuery),
        ("approvals.list_approvals", ApprovalsQuery),
        ("bulk.list_actions", PageQuery),
        ("usage.get_usage", UsageQuery),
        ("audit.read_audit", AuditQuery),
    )
}

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(installation: Installation) -> Flask:
    """Return the WSGI application of the installation; raise `ConfigError` when it has no good secret key.

    No connection is opened before the first request.
    """
    settings = installation.settings
    check_secret_key(settings.secret_key)
    app = OpenAPI(
        "celeriac.web",
        info=Info(title="Celeriac", version="1", description="Durable runs of AI agents, for many tenants."),
        security_schemes={"key": {"type": "http", "scheme": "bearer"}},
        validation_error_status=500,  # only for the description, where every operation tells of it already
        validation_error_model=ProblemOut,
        validation_error_callback=problems.from_validation,
        doc_ui=False,
    )
    app.request_class = StrictRequest
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    furnish(app, installation, Hints(settings.redis_url))
    auth.prepare_sessions(app, settings.secret_key)
    words.register(app)
    problems.register(app)
    app.before_request(_name_request)
    app.before_request(_refuse_unprintable)
    app.before_request(_refuse_unknown_parameters)
    app.before_request(auth.admit)
    app.after_request(_add_headers)
    app.after_request(add_rate_headers)
    for api in (events, runs, approvals, bulk, functions, signals, limits, usage, keys, tenant_secrets, audit, health):
        app.register_api(api)
    app.register_blueprint(signin)
    app.register_blueprint(dashboard)
    _hurry_the_database(app)
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.proxy_networks)  # type: ignore[method-assign]
    return app


def _hurry_the_database(app: Flask) -> None:
    """Bind what a request asks of the database to a time; views answer in one piece, so it ends with the call."""
    answer = app.wsgi_app

    def hurried(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with answers_within(_DATABASE_ANSWERS_WITHIN):
            return answer(environ, start_response)

    app.wsgi_app = hurried  # type: ignore[method-assign]


def _name_request() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"


def _refuse_unprintable() -> None:
    """No id and no filter has characters that cannot be printed, and a database may choke on them."""
    if not all(str(value).isprintable() for value in (request.view_args or {}).values()):
        raise Problem(404, "not_found", "There is nothing of this name")
    if not all(value.isprintable() for values in request.args.listvalues() for value in values):
        raise Problem(400, "invalid_request", "A query parameter holds characters that cannot be printed")
    if any("\0" in value for values in request.form.listvalues() for value in values):
        raise Problem(400, "invalid_request", "A field of the form holds a NUL, which cannot be kept")


def _refuse_unknown_parameters() -> None:
    if request.endpoint is None or not request.path.startswith(("/v1/", "/e/")):
        return
    known = _QUERIES.get(request.endpoint or "", frozenset())
    for name, values in request.args.lists():
        if name not in known or len(values) > 1:
            what = "is given twice" if name in known else "is unknown"
            raise Problem(400, "invalid_request", f"The query parameter {name[:100]!r} {what}")


def _add_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.headers["X-Request-Id"] = g.get("request_id", "")
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
