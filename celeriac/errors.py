"""All errors of Celeriac, one family.

Raised everywhere, so this file imports nothing of the house. Each message says what happened, to which id, and what
to do next; none carries a secret or another tenant's id.

    CeleriacError
    ├── ConfigError            a declaration or a setting that cannot work; raised before anything starts
    ├── ContextError           asked the context for something that is not there
    ├── RouterError            a router named an agent that the network does not have, or a disabled one
    ├── NotDurableError        a durable step was asked of a plain script
    ├── StepIdConflict         one step id used by two tasks of one scope
    ├── LimitError             an output, event or state is too large, or a run has too many steps
    ├── InvalidEventError      an event that cannot be accepted
    ├── RefusedError           a gate or a quota said no
    ├── NotFoundError          no such thing for this tenant
    ├── ConflictError          what was asked for cannot be done as things stand
    ├── StoreUnavailable       the database does not answer
    ├── FetchError             no answer to an HTTP request; it is tried again
    │   └── FetchRefused       a URL, an address or an answer that is not allowed; never tried again
    ├── NonRetriableError      raised by user code: do not try again
    │   └── BudgetExceeded     a model was to be called for a tenant that has spent its budget
    ├── RetryAfterError        raised by user code: try again at that time
    ├── ToolError              raised by a tool: shown to the model as it stands, never retried
    ├── StepError              raised to user code: a step used up its retries
    ├── ModelError             raised to user code: a provider refused or failed
    ├── McpError               a tool server (MCP) cannot be reached, or answers with an error
    └── RunFailed              the failure of a whole run
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal


class CeleriacError(Exception):
    """The base of the family; `code` is stable and safe to match on."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Keep the message, and a code that differs from the class's own where one is given."""
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class ConfigError(CeleriacError):
    """A declaration or a setting that cannot work."""

    code = "config"


class ContextError(CeleriacError):
    """The context was asked for something that is not there in this place."""

    code = "context"


class RouterError(CeleriacError):
    """A router named an agent that the network does not have, or one that is disabled."""

    code = "router"


class NotDurableError(CeleriacError):
    """A step that needs a durable run was called in a plain script."""

    code = "not_durable"


class StepIdConflict(CeleriacError):
    """Two tasks of one scope used the same step id, so that replay could not tell them apart."""

    code = "step_id_conflict"


class LimitError(CeleriacError):
    """A value is larger, or a count higher, than the limits of the installation allow."""

    code = "limit"


class InvalidEventError(CeleriacError):
    """An event that cannot be accepted; `errors` lists the places, each `{"pointer", "detail"}`."""

    code = "invalid_event"

    def __init__(self, message: str, *, code: str | None = None, errors: list[dict[str, str]] | None = None) -> None:
        """Keep the list of places beside the message."""
        super().__init__(message, code=code)
        self.errors = errors or []


class RefusedError(CeleriacError):
    """A gate or a quota said no; `retry_at` is the earliest time at which it may say yes."""

    code = "refused"

    def __init__(
        self, message: str, *, code: str | None = None, retry_at: datetime | None = None, limit: str | None = None
    ) -> None:
        """Keep the time beside the message, and the name of the limit that was hit."""
        super().__init__(message, code=code)
        self.retry_at = retry_at
        self.limit = limit


class NotFoundError(CeleriacError):
    """No such thing for this tenant; another tenant's things are not found either."""

    code = "not_found"


class ConflictError(CeleriacError):
    """What was asked for cannot be done as things stand: a signal that another run waits for, an ended run."""

    code = "conflict"


class StoreUnavailable(CeleriacError):
    """The database does not answer; nothing was stored."""

    code = "store_unavailable"


class FetchError(CeleriacError):
    """An HTTP request got no answer; the next attempt may."""

    code = "fetch_failed"


class FetchRefused(FetchError):
    """A URL, an address or an answer that is not allowed, and would not be at the next attempt."""

    code = "fetch_refused"


class NonRetriableError(CeleriacError):
    """Raise it in a step, tool or function that would fail again: no retry follows."""

    code = "non_retriable"


class BudgetExceeded(NonRetriableError):
    """A model was to be called for a tenant that has spent its budget of the day or the month."""

    code = "budget_exceeded"


class RetryAfterError(CeleriacError):
    """Raise it in a step to say when the next attempt makes sense.

    `retry_after` is a number of seconds, a duration such as `"1m"`, a timedelta, or an aware datetime.
    """

    code = "retry_after"

    def __init__(self, message: str, retry_after: float | str | timedelta | datetime) -> None:
        """Keep the wish; it is read when the retry is planned."""
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling with both arguments."""
        return type(self), (self.message, self.retry_after)


class ToolError(CeleriacError):
    """Raise it in a tool: the model sees the text as it stands and may mend its call."""

    code = "tool"


class StepError(CeleriacError):
    """A step used up its retries; catch it to go on without the step."""

    code = "step"

    def __init__(self, step: str, error_name: str, message: str, usage: dict[str, Any] | None = None) -> None:
        """Name the step's path and the last error of its body, and what a turn, tool or model had used by then."""
        super().__init__(f"Step {step!r} failed: {error_name}: {message}")
        self.step = step
        self.error_name = error_name
        self.detail = message
        #: `Usage` as plain JSON; None where nothing was used, or the step is another one
        self.usage = usage

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling with all arguments."""
        return type(self), (self.step, self.error_name, self.detail, self.usage)


ModelErrorKind = Literal[
    "auth",  # the key is missing or refused
    "quota",  # the account is empty: waiting does not fill it
    "invalid",  # the request is wrong, and would be at the next attempt
    "content_filter",  # the provider's filter refused the request
    "output",  # the reply does not fit what was asked for
    "rate_limit",
    "overloaded",
    "server",
    "timeout",
    "connection",
]


class ModelError(CeleriacError):
    """A provider refused or failed.

    Made inside the adapters, so that no provider's exception (some of which cannot be unpickled) leaves them.
    `retry_after` is in seconds, as the provider sent it. The first five kinds are never retried.
    """

    code = "model"

    def __init__(
        self,
        message: str,
        *,
        kind: ModelErrorKind,
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        """Keep what the retry decision and support need."""
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id

    @property
    def is_retriable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.kind not in ("auth", "quota", "invalid", "content_filter", "output")

    @property
    def is_outage(self) -> bool:
        """Whether another model may answer the same request now: the provider is out, or does not take us."""
        return self.is_retriable or self.kind in ("auth", "quota")

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling with all arguments."""
        state = {
            "kind": self.kind,
            "status": self.status,
            "retry_after": self.retry_after,
            "request_id": self.request_id,
        }
        return _rebuild_model_error, (self.message, state)


def _rebuild_model_error(message: str, state: dict[str, Any]) -> ModelError:
    return ModelError(message, **state)


class McpError(CeleriacError):
    """A tool server (MCP) cannot be reached, or answers with an error; the message names it.

    `is_retriable` tells whether the next attempt may go better, `was_sent` whether the request may have been carried
    out nevertheless.
    """

    code = "mcp"

    def __init__(self, message: str, *, is_retriable: bool = False, was_sent: bool = False) -> None:
        """Keep what the retry decision needs."""
        super().__init__(message)
        self.is_retriable = is_retriable
        self.was_sent = was_sent


class RunFailed(CeleriacError):
    """The failure of a whole run."""

    code = "run_failed"

    def __init__(self, run_id: str, function_id: str, code: str, message: str) -> None:
        """Name the run, its function, and the error that ended it."""
        super().__init__(message, code=code)
        self.run_id = run_id
        self.function_id = function_id

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling with all arguments."""
        return type(self), (self.run_id, self.function_id, self.code, self.message)
