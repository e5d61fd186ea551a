"""Usage: what tenants have used, by UTC day, function and model, as quotas, bills and people read it.

It is counted in the transactions that make it true (`store/sql_counting.py`), so that no retry, crash or second message
counts anything twice; what is deleted later stays counted. Every read names its tenant, but for those of operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol

By = Literal["tenant", "day", "function", "model"]

#: what rows may be told apart by, in their order
BY: tuple[By, ...] = ("tenant", "day", "function", "model")

#: what is counted
COUNTS = (
    *("runs", "links", "steps", "model_calls", "tool_calls"),
    *("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    *("cost_usd", "bytes"),
)

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """What was used under one key; the parts of the key that were not asked for are None."""

    tenant_id: str | None = None
    #: by the database's time, in UTC
    day: date | None = None
    #: `app/function_id`; empty for events that came from outside, which are of no function
    function: str | None = None
    #: `provider:model` as the provider names it in its replies; empty for whatever is no call of a model
    model: str | None = None
    runs: int = 0
    #: counted as they are claimed, so that one which a crash cut short is counted as well
    links: int = 0
    #: committed steps, each once; failed attempts are none
    steps: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    #: everything that was read, the part from the provider's cache included
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    #: what was stored of values of steps and of data of events, as UTF-8
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Spent:
    """US dollars that a tenant's committed model calls have cost, by the database's clock in UTC."""

    today: float = 0.0
    this_month: float = 0.0


class Usages(Protocol):
    """Reads usage, exact at any moment, and rolls up what was counted."""

    def today(self) -> date:
        """Return the day that it is for the database, in UTC."""
        ...

    def usage(
        self, tenant_id: str | None, since: date, until: date, by: Sequence[By] = ("day", "function", "model")
    ) -> list[UsageRow]:
        """Return a tenant's usage of the days from `since` to `until`, both included, in the order of the keys.

        `tenant_id=None` is for operators: all tenants. Without `by` the list has one row, the total.
        """
        ...

    def spent(self, tenant_id: str, since: date) -> float:
        """Return the tenant's cost in US dollars from that UTC day on; of a datetime, its whole day counts."""
        ...

    def spent_now(self, tenant_id: str) -> Spent:
        """Return the tenant's cost of today and of this month at once."""
        ...

    def roll(self, *, most: int = 5000) -> int:
        """Add at most so many of the counted rows to their days, in one transaction; return how many those were.

        Two that roll at once take different rows. Whether it is called changes no answer, only how fast it comes.
        """
        ...


def day_number(day: date) -> int:
    """Return the days since 1970, of a datetime in UTC."""
    plain = day.astimezone(UTC).date() if isinstance(day, datetime) else day
    return (plain - _EPOCH).days


def day_of(number: int) -> date:
    """Return the day that is so many days after 1970."""
    return _EPOCH + timedelta(days=number)
