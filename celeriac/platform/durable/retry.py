"""The retry decision: whether a failed attempt is followed by another one, and when.

Pure: the kernel commits what is decided here. The growing delays are those of Inngest's published backoff table.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from celeriac.clock import duration
from celeriac.errors import (
    ConfigError,
    ContextError,
    FetchRefused,
    InvalidEventError,
    LimitError,
    McpError,
    ModelError,
    NonRetriableError,
    NotDurableError,
    RetryAfterError,
    RouterError,
    StepError,
    StepIdConflict,
    ToolError,
)

#: seconds before the first, second, … retry; the last one holds for all that follow
DELAYS = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
JITTER_SECONDS = 30.0
_SHORTEST, _LONGEST = timedelta(0), timedelta(hours=24)
_LONGEST_SECONDS = _LONGEST.total_seconds()

#: errors that the next attempt would meet again
FINAL = (
    NonRetriableError,
    StepError,
    ToolError,
    LimitError,
    ConfigError,
    ContextError,
    RouterError,
    NotDurableError,
    StepIdConflict,
    InvalidEventError,
    FetchRefused,
)


def next_retry(
    error: Exception, *, failed: int, retries: int, now: datetime, fixed: timedelta | None = None
) -> timedelta | None:
    """Return how long to wait before the next attempt, or None when there is none.

    `failed` counts the failed attempts, this one included. What the error itself asks for (`RetryAfterError`, a
    provider's Retry-After) goes before `fixed`, and that before the growing delays with their jitter.
    """
    if failed > retries or isinstance(error, FINAL):
        return None
    if isinstance(error, ModelError) and not error.is_retriable:
        return None
    if isinstance(error, McpError) and not error.is_retriable:
        return None
    asked = _asked_for(error, now)
    if asked is not None:
        return min(max(asked, _SHORTEST), _LONGEST)
    if fixed is not None:
        return fixed
    seconds = DELAYS[min(failed, len(DELAYS)) - 1] + random.uniform(0, JITTER_SECONDS)
    return timedelta(seconds=seconds)


def _asked_for(error: Exception, now: datetime) -> timedelta | None:
    if isinstance(error, ModelError):
        # Cut here, as a header may hold a number that is no time any more.
        return None if error.retry_after is None else timedelta(seconds=min(error.retry_after, _LONGEST_SECONDS))
    if not isinstance(error, RetryAfterError):
        return None
    wish = error.retry_after
    if isinstance(wish, datetime):
        return (wish if wish.tzinfo else wish.replace(tzinfo=UTC)) - now
    return duration(wish)
