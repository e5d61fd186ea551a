"""Problems: how the web says no. One shape for the API (problem+json), one page for the dashboard.

Views and the rooms below raise; the handlers registered here answer. Every problem has a stable `code`, and none
carries a key, an address or another tenant's id. Nothing else in the web builds an error answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, render_template, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from celeriac.errors import (
    CeleriacError,
    ConflictError,
    InvalidEventError,
    NotFoundError,
    RefusedError,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

#: more places than this help nobody
_MOST_ERRORS = 100

#: seconds after which asking again makes sense when the database was away
_STORE_RETRY_AFTER = 2

_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "access_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "validation_error",
    500: "internal_error",
}


class Problem(Exception):
    """A refusal, raised anywhere below a view; `errors` lists places as `{"pointer", "detail"}`."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[dict[str, str]] = (),
        headers: dict[str, str] | None = None,
        limit: str | None = None,
    ) -> None:
        """Keep what the answer will say; `limit` names the limit of the tenant that was hit."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)[:_MOST_ERRORS]
        self.headers = headers or {}
        self.limit = limit

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase


def register(app: Flask) -> None:
    """Answer every error of the app by one of the handlers below."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(CeleriacError, lambda error: answer(from_house(error)))
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(Exception, _from_bug)


def answer(problem: Problem) -> Response:
    """Make the answer: a page for somebody who looks at the dashboard, else problem+json."""
    if is_for_people():
        page = render_template("error.html", problem=problem)
        response = Response(page, problem.status, mimetype="text/html")
    else:
        response = Response(json.dumps(_body(problem)), problem.status, mimetype="application/problem+json")
    response.headers.update(problem.headers)
    return response


def from_validation(error: ValidationError) -> Response:
    """Answer a request that does not fit its model: 400 for the query of a read, 422 for a body."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    errors = [{"pointer": _pointer(one["loc"]), "detail": one["msg"]} for one in found[:_MOST_ERRORS]]
    first = errors[0]
    detail = f"{first['detail']} at {first['pointer'] or 'the top'}"
    if request.method in ("GET", "HEAD"):
        return answer(Problem(400, "invalid_request", detail, errors=errors))
    is_missing = all(one["type"] == "missing" for one in found)
    return answer(Problem(422, "missing_field" if is_missing else "validation_error", detail, errors=errors))


def from_house(error: CeleriacError) -> Problem:
    """Translate an error of the rooms below."""
    match error:
        case NotFoundError():
            return Problem(404, "not_found", error.message)
        case ConflictError():
            return Problem(409, error.code, error.message)
        case StoreUnavailable():
            log.warning("Refused: %s", error.message)
            return Problem(503, error.code, error.message, headers={"Retry-After": str(_STORE_RETRY_AFTER)})
        case InvalidEventError():
            status = 413 if error.code in ("payload_too_large", "too_many_events") else 422
            return Problem(status, error.code, error.message, errors=error.errors)
        case RefusedError():
            return Problem(429, error.code, error.message, headers=_retry_after(error.retry_at), limit=error.limit)
        case _:
            log.error("Unexpected %s", type(error).__name__, exc_info=error)
            return _internal_error()


def is_for_people() -> bool:
    """Say whether the answer goes to a browser on the dashboard."""
    if request.path.startswith(("/v1/", "/e/")):
        return False
    wanted = request.accept_mimetypes.best_match(["application/json", "text/html"])
    return request.blueprint in ("dashboard", "signin") or wanted == "text/html"


def _from_http(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    status = error.code or 500
    code = _CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    allowed = {"Allow": ", ".join(sorted(methods))} if (methods := getattr(error, "valid_methods", None)) else {}
    return answer(Problem(status, code, error.description or "", headers=allowed))


def _from_bug(error: Exception) -> Response:
    log.error("Request %s failed", g.get("request_id"), exc_info=error)
    return answer(_internal_error())


def _internal_error() -> Problem:
    return Problem(500, "internal_error", "Something failed on our side; the log has it under this request id")


def _body(problem: Problem) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"urn:celeriac:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": _instance(),
        "code": problem.code,
        "request_id": g.get("request_id"),
        "errors": problem.errors,
    }
    if problem.limit is not None:
        body |= {"limit_name": problem.limit, "scope": "tenant"}
    if request.path.startswith("/e/"):  # what senders written for the Inngest event API look for
        body |= {"ids": [], "error": problem.detail}
    return body


def _instance() -> str:
    """Name the path that was asked, without the key that an event's path carries."""
    return "/e/…" if request.path.startswith("/e/") else request.path[:200]


def _pointer(location: tuple[int | str, ...]) -> str:
    """Write a place as a JSON pointer; `one` and `many` are the two forms of a body with events, not fields."""
    parts = location[1:] if location[:1] in (("one",), ("many",)) else location
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)[:300]


def _retry_after(retry_at: datetime | None) -> dict[str, str]:
    if retry_at is None:
        return {}
    seconds = (retry_at - datetime.now(UTC)).total_seconds()
    return {"Retry-After": str(max(1, round(seconds + 0.5)))}
