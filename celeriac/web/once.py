"""Once: what a request with an `Idempotency-Key` does, it does once, and is answered alike when it is sent again.

Stands between each POST route of the API and its view. The view takes ids from `own_id`, so that doing it a second
time after a crash finds what is there; `tenants/idempotency.py` says how, and keeps the answers. Refusals are not kept:
what was refused may be mended and sent again with the same key.
"""

from __future__ import annotations

import hmac
import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, g, jsonify, request

from celeriac.errors import CeleriacError, StoreUnavailable
from celeriac.ids import Kind, derived_id
from celeriac.tenants.idempotency import Begun, Given, Held, KeyedRequest, Reused
from celeriac.tenants.key_text import new_key
from celeriac.web.auth import tenant_id
from celeriac.web.problems import Problem, from_house
from celeriac.web.reach import beyond_caller, outlives_caller
from celeriac.web.rooms import rooms

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"

#: the field of an answer that is never stored: a key in the clear
_SECRET = "key"

_LONGEST = 255

#: where a view keeps that it is done once
_IS_ONCE = "__celeriac_once__"

#: the header as `/openapi.json` describes it
PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "your own key for this request; sent again within 24 h it does nothing and is answered alike",
    "schema": {"type": "string", "maxLength": _LONGEST},
}

View = TypeVar("View", bound=Callable[..., Any])


def once(view: View) -> View:
    """Let the view be done once for each idempotency key, and its answer be given again for 24 hours."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None:
            return view(*args, **kwargs)
        keyed = _keyed(key, takes_body="body" in kwargs)
        match rooms().given_answers.begin(keyed):
            case Given(status=status, body=body, seed=seed):
                return _again(status, body, seed)
            case Held(left=left):
                raise _held(left)
            case Reused():
                detail = f"This {HEADER} came with another body before; make a new key for a new request"
                raise Problem(422, "idempotency_key_reused", detail)
            case Begun() as begun:
                return _do(keyed, begun, lambda: view(*args, **kwargs))

    setattr(answered, _IS_ONCE, True)
    return cast("View", answered)


def is_once(view: Callable[..., Any]) -> bool:
    """Say whether the view takes an idempotency key, for the description of the API."""
    return getattr(view, _IS_ONCE, False)


def own_id(kind: Kind, *parts: str) -> str | None:
    """Return the id of what the request makes, the same for the same key; None where it has no key."""
    seed = g.get("seed")
    return None if seed is None else derived_id(kind, seed, *parts)


def was_tried() -> bool:
    """Say whether the request came before with its key, and was not answered; it may be done all the same."""
    return bool(g.get("was_tried", False))


def key_seed() -> bytes | None:
    """Return what a key that the request makes is derived from; None where it has no idempotency key.

    The secret of the installation is in it, so that the database alone tells no key.
    """
    seed = g.get("seed")
    if seed is None:
        return None
    return hmac.digest(rooms().settings.secret_key.encode(), b"celeriac.seed." + str(seed).encode(), "sha256")


def _do(keyed: KeyedRequest, begun: Begun, view: Callable[[], Any]) -> Any:
    g.seed, g.was_tried = begun.seed, not begun.is_first
    try:
        answer = view()
    except Exception as error:
        _let_go(keyed, begun, is_done=not begun.is_first or not _is_refusal(error))
        raise
    body, status = answer if isinstance(answer, tuple) else (answer, 200)
    stored = {name: value for name, value in body.items() if name != _SECRET}
    try:
        rooms().given_answers.answer(keyed, begun.seed, status, stored)
    except StoreUnavailable as error:  # it is done, and found when it is sent again
        log.warning("The answer to a request with an idempotency key was not kept: %s", error.message)
    return answer


def _again(status: int, body: dict[str, Any], seed: str) -> Response:
    g.seed = seed
    derived = new_key(key_seed())
    if body.get("id") == derived.id and _could_make(body):
        body = {**body, _SECRET: derived.plaintext}
    answer = jsonify(body)
    answer.status_code = status
    answer.headers["Idempotency-Replayed"] = "true"
    return answer


def _could_make(key: dict[str, Any]) -> bool:
    """Say whether whoever asks might have made this key, and so may be told it."""
    ends_at = None if key["expires_at"] is None else datetime.fromisoformat(key["expires_at"])
    return not beyond_caller(key["kind"], key["scopes"]) and not outlives_caller(ends_at)


def _let_go(keyed: KeyedRequest, begun: Begun, *, is_done: bool) -> None:
    try:
        rooms().given_answers.let_go(keyed, begun.seed, is_done=is_done)
    except StoreUnavailable as error:  # it is free by time
        log.warning("An idempotency key is held until its time is over: %s", error.message)


def _is_refusal(error: Exception) -> bool:
    """Say whether nothing was done for sure."""
    problem = from_house(error) if isinstance(error, CeleriacError) else error
    return isinstance(problem, Problem) and problem.status < 500


def _keyed(key: str, *, takes_body: bool) -> KeyedRequest:
    if not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        raise Problem(400, "invalid_request", f"{HEADER} is a text of 1 to {_LONGEST} printable ASCII characters")
    path = "/e/" if request.path.startswith("/e/") else request.path
    body = request.get_json() if takes_body else None  # what a view does not read makes no other request
    return KeyedRequest(tenant_id=tenant_id(), route=f"{request.method} {path}", key=key, body=body)


def _held(left: timedelta) -> Problem:
    seconds = max(1, math.ceil(left.total_seconds()))
    detail = f"A request with this {HEADER} is being answered; send it again after the time in Retry-After"
    return Problem(409, "idempotency_conflict", detail, headers={"Retry-After": str(seconds)})
