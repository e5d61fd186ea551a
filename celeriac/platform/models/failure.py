"""From a provider's failure to a `ModelError`: which kind it is, and when another try makes sense.

Called by every adapter, so that the engine's retry decision looks the same whoever failed. Imports no SDK: it reads
statuses, headers and bodies. A message made here never shows a key, not even where a provider repeats it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from celeriac.errors import ModelError, ModelErrorKind
from celeriac.platform.models import providers

#: the statuses with a meaning of their own; other 5xx are the server's fault, other 4xx the request's
_KINDS: dict[int, ModelErrorKind] = {
    401: "auth",
    403: "auth",
    408: "timeout",
    409: "server",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

#: what stands in the code or type of an error without a status, and what it means
_WORDS: dict[str, ModelErrorKind] = {
    "insufficient_quota": "quota",
    "billing": "quota",
    "overloaded": "overloaded",
    "unavailable": "overloaded",
    "rate_limit": "rate_limit",
    "resource_exhausted": "rate_limit",
    "content_filter": "content_filter",
    "content_policy": "content_filter",
    "authentication": "auth",
    "permission": "auth",
    "timeout": "timeout",
    "invalid": "invalid",
}

#: the longest text of a provider that goes into a message
_LONGEST_DETAIL = 500


@dataclass(frozen=True, kw_only=True)
class Callee:
    """Who was asked, for the message; `secret` is struck out of it."""

    provider: str
    model: str
    secret: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Return the name as users write it."""
        return f"{self.provider}:{self.model}"


def refused(callee: Callee, status: int, headers: Mapping[str, str], body: object) -> ModelError:
    """Make the error for an answer that is no success; `headers` must ignore case, or be in lower case."""
    kind = kind_of(status, _fields(body))
    if status == 401:
        # no word of the provider here: some repeat (parts of) the key
        detail = f"the API key was refused; check {providers.known(callee.provider).key_variable} or api_key="
    else:
        detail = _detail(body, callee.secret) or "no reason given"
    return ModelError(
        f"Model '{callee}' answered {status}: {detail}",
        kind=kind,
        status=status,
        retry_after=_wish(headers, body),
        request_id=request_id(headers),
    )


def unreachable(callee: Callee, error: BaseException) -> ModelError:
    """Make the error for a request that got no answer: a timeout or a broken connection."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    # the SDKs call some broken connections timeouts; the root knows better
    if isinstance(root, TimeoutError):
        return ModelError(f"Model '{callee}' did not answer in time; see timeout=", kind="timeout")
    reason = _shown(f"{type(root).__name__}: {root}", callee.secret)
    return ModelError(f"Model '{callee}' could not be reached ({reason}); see base_url=", kind="connection")


def unreadable(callee: Callee, reason: str, request_id: str | None = None) -> ModelError:
    """Make the error for a success that is no reply, such as a proxy's HTML page."""
    message = f"Model '{callee}' answered with something else than a reply ({reason}); see base_url="
    return ModelError(message, kind="server", request_id=request_id)


def torn(callee: Callee, request_id: str | None) -> ModelError:
    """Make the error for a stream that ended before its reply did."""
    message = f"The stream of model '{callee}' ended in the middle of its reply"
    return ModelError(message, kind="connection", request_id=request_id)


def told(callee: Callee, body: Mapping[str, Any], request_id: str | None) -> ModelError | None:
    """Make the error that a body of a success tells of, as an event of a stream does; None where it tells of none."""
    response = body.get("response")
    error = body.get("error") or (response.get("error") if isinstance(response, Mapping) else None)
    if body.get("type") == "error" and not error:
        error = body
    if not error:
        return None
    fields = error if isinstance(error, Mapping) else {"message": str(error)}
    detail = _shown(
        " ".join(str(fields.get("message") or fields.get("code") or fields.get("type")).split()), callee.secret
    )
    return ModelError(f"Model '{callee}' failed: {detail}", kind=_kind_in_words(fields), request_id=request_id)


def unsendable(callee: Callee, error: Exception) -> ModelError:
    """Make the error for a request that its SDK could not even send."""
    reason = _shown(f"{type(error).__name__}: {error}", callee.secret)
    return ModelError(f"The request to model '{callee}' could not be made: {reason}", kind="invalid")


def kind_of(status: int, error: Mapping[str, Any]) -> ModelErrorKind:
    """Sort a refusal; an empty account looks like a rate limit at some providers, but waiting does not fill it."""
    words = f"{error.get('code')} {error.get('type')}"
    if status != 401 and ("insufficient_quota" in words or "billing" in words or status == 402):
        return "quota"
    if status == 400 and ("content_filter" in words or "content_policy" in words):
        return "content_filter"
    return _KINDS.get(status, "server" if status >= 500 else "invalid")


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the name that the provider gave the request; `headers` must ignore case, or be in lower case."""
    return headers.get("x-request-id") or headers.get("request-id") or headers.get("apim-request-id")


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Read how many seconds the provider asks us to wait: `retry-after-ms`, else seconds, else an HTTP date.

    A date is taken relative to the answer's own `date` where there is one, so that a wrong clock here does no harm.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    until = _date(value)
    return None if until is None else max(0.0, (until - (_date(headers.get("date")) or now)).total_seconds())


def _wish(headers: Mapping[str, str], body: object) -> float | None:
    """Return the wait that headers or, as Google writes it, the body ask for."""
    asked = retry_after(headers, now=datetime.now(UTC))
    details = _fields(body).get("details")
    if asked is not None or not isinstance(details, list):
        return asked
    delays = [detail.get("retryDelay") for detail in details if isinstance(detail, Mapping)]
    return next((_number(str(delay).removesuffix("s")) for delay in delays if delay), None)


def _kind_in_words(error: Mapping[str, Any]) -> ModelErrorKind:
    """Sort an error that has no status of its own, only words or a number in its body."""
    if isinstance(code := error.get("code"), int) and 400 <= code < 600:
        return kind_of(code, error)
    words = f"{error.get('code')} {error.get('type')} {error.get('status')}".lower()
    return next((kind for word, kind in _WORDS.items() if word in words), "server")


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _fields(body: object) -> Mapping[str, Any]:
    """Return the error object of a body; one SDK hands out the whole body, the other only its `error`."""
    if isinstance(body, list) and body:  # Google answers with a list of one
        body = body[0]
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _detail(body: object, secret: str) -> str:
    message = _fields(body).get("message") or (body if isinstance(body, str) else "")
    return _shown(" ".join(str(message).split()), secret)


def _shown(text: str, secret: str) -> str:
    cleaned = text.replace(secret, "***") if secret else text
    return cleaned if len(cleaned) <= _LONGEST_DETAIL else cleaned[:_LONGEST_DETAIL] + "…"
