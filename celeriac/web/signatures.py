"""Signatures of requests: checked where one is given, and asked for where the tenant's events must be signed.

The door of events asks before it reads a body. Nothing here knows a key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request

from celeriac.tenants.signature import HEADER, TOLERANCE, Fault
from celeriac.web.auth import came_by, tenant_id
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms

_MINUTES = int(TOLERANCE.total_seconds() // 60)

_FAULTS: dict[Fault, str] = {
    "malformed": f"{HEADER} is written t=<unix seconds>,v1=<HMAC-SHA256 in hex of time, dot and body>",
    "untimely": f"The time of {HEADER} is more than {_MINUTES} minutes from ours; sign anew, and look at the clock",
    "not_for_events": f"{HEADER} was made with a key that may not sign events; it needs the scope 'events:sign'",
    "unknown": f"{HEADER} was made with no live signing key of the tenant, or for another body",
}

#: the header as `/openapi.json` describes it
PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "proves by a signing key who sent the body and when: t=<unix seconds>,v1=<HMAC-SHA256 in hex>",
    "schema": {"type": "string", "maxLength": 4096},
}


View = TypeVar("View", bound=Callable[..., Any])

#: where a view keeps that its requests may be signed
_IS_SIGNABLE = "__celeriac_signable__"


def signable(view: View) -> View:
    """Say of a view, for the description of the API, that signatures of its requests are checked."""
    setattr(view, _IS_SIGNABLE, True)
    return view


def is_signable(view: Callable[..., Any]) -> bool:
    """Say whether they are."""
    return getattr(view, _IS_SIGNABLE, False)


def check_signature() -> None:
    """Refuse a signature that is wrong, and an event key without one where it needs one; raise `Problem`.

    An API key may do all that is the tenant's and comes in no path, so it needs none.
    """
    given = request.headers.get(HEADER)
    if given is not None:
        fault = rooms().keys.signing.check(tenant_id(), request.get_data(), given).fault
        if fault is not None:
            raise Problem(403, "invalid_signature", _FAULTS[fault])
    elif came_by() == "event" and rooms().tenants.limits(tenant_id()).must_sign_events:
        raise Problem(403, "signature_required", f"Events that come by an event key have to be signed; send {HEADER}")
