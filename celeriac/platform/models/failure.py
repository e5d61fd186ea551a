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
        detail = f"the API key was refused; check {callee.provider.upper()}_API_KEY or api_key="
    else:
        detail = _detail(body, callee.secret) or "no reason given"
    return ModelError(
        f"Model '{callee}' answered {status}: {detail}",
        kind=kind,
        status=status,
        retry_after=retry_after(headers, now=datetime.now(UTC)),
        request_id=headers.get("x-request-id") or headers.get("request-id"),
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


def unsendable(callee: Callee, error: Exception) -> ModelError:
    """Make the error for a request that its SDK could not even send."""
    reason = _shown(f"{type(error).__name__}: {error}", callee.secret)
    return ModelError(f"The request to model '{callee}' could not be made: {reason}", kind="invalid")


def kind_of(status: int, error: Mapping[str, Any]) -> ModelErrorKind:
    """Sort a refusal; an empty account looks like a rate limit at some providers, but waiting does not fill it."""
    words = f"{error.get('code')} {error.get('type')}"
    if status != 401 and ("insufficient_quota" in words or "billing" in words):
        return "invalid"
    return _KINDS.get(status, "server" if status >= 500 else "invalid")


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
