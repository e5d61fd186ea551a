"""The meter: what a tenant may ask and spend, decided over the buckets and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celeriac.clock import ManualClock
from celeriac.errors import BudgetExceeded, RefusedError
from celeriac.platform.flow.buckets import Later
from celeriac.platform.flow.meter import Allowance, Meter, Toll
from celeriac.platform.store.local_buckets import LocalBuckets
from celeriac.platform.store.redis_buckets import RedisBuckets
from celeriac.platform.store.redis_connection import connect
from services import free_port

T = "ten_a"
CALL = Toll(provider="openai", tokens=100)


@dataclass
class Ledger:
    """What was spent, as a test says."""

    today: float = 0.0
    this_month: float = 0.0

    def spent_now(self, tenant_id: str) -> Ledger:
        """Return itself."""
        return self


def metered(clock: ManualClock, ledger: Ledger | None = None, **limits: float) -> Meter:
    """Make a meter for tenants with these limits."""
    allowance = Allowance(**limits)  # type: ignore[arg-type]
    return Meter(LocalBuckets(clock), lambda _: allowance, ledger or Ledger(), now=clock.now)


@pytest.mark.parametrize(("limit", "most"), [(60, 63), (10, 11), (2, 3)])
def test_no_minute_has_more_than_the_limit_and_what_is_saved_up(limit: int, most: int) -> None:
    """A twentieth of the limit, or one call: who asks all the time for ten minutes never gets more in any of them."""
    meter = metered(clock := ManualClock(), model_requests_per_minute=limit)
    calls, ticket = [], None
    for _ in range(6_000):
        later = meter.reserve(T, CALL, ticket=ticket)
        ticket = None if later is None else later.ticket
        if later is None:
            calls.append(clock.now())
        clock.advance(timedelta(seconds=0.1))
    busiest = max(sum(one <= other < one + timedelta(minutes=1) for other in calls) for one in calls)
    assert busiest <= most
    assert len(calls) >= 10 * limit


def test_providers_have_limits_of_their_own() -> None:
    """What one has no room for, another has."""
    meter = metered(ManualClock(), model_requests_per_minute=20)
    assert meter.reserve(T, CALL, ticket=None) is None
    assert isinstance(meter.reserve(T, CALL, ticket=None), Later)
    assert meter.reserve(T, Toll(provider="anthropic", tokens=1), ticket=None) is None


def test_tokens_that_were_not_used_are_given_back() -> None:
    """After a call that was estimated at 100 and used 10, another one of 100 fits into 200."""
    meter = metered(ManualClock(), model_tokens_per_minute=4_000)
    assert meter.reserve(T, Toll(provider="openai", tokens=190), ticket=None) is None
    later = meter.reserve(T, CALL, ticket=None)
    assert later is not None
    meter.settle(T, Toll(provider="openai", tokens=190), 10)
    assert meter.reserve(T, CALL, ticket=later.ticket) is None


def test_a_call_that_waits_for_tokens_looks_again_soon() -> None:
    """Those before it may use less than was estimated: it goes after half a minute, and not after one and a half."""
    meter = metered(clock := ManualClock(), model_tokens_per_minute=1_000)
    assert meter.reserve(T, Toll(provider="openai", tokens=1_500), ticket=None) is None
    later = meter.reserve(T, CALL, ticket=None)
    assert later is not None and later.after == timedelta(seconds=30)
    meter.settle(T, Toll(provider="openai", tokens=1_500), 20)
    clock.advance(later.after)
    assert meter.reserve(T, CALL, ticket=later.ticket) is None


@pytest.mark.parametrize("limits", [{"model_requests_per_minute": 600}, {"model_tokens_per_minute": 60_000}])
def test_a_thousand_that_wait_do_not_come_back_at_once(limits: dict[str, Any]) -> None:
    """Neither at their times, nor when they look again before: no second has more than thrice what it has room for."""
    meter = metered(ManualClock(), **limits)
    told = [meter.reserve(T, CALL, ticket=None) for _ in range(1_030)]
    backs = [one.after // timedelta(seconds=1) for one in told if one is not None]
    assert len(backs) == 1_000
    assert max(backs.count(second) for second in backs) <= (30 if "model_requests_per_minute" in limits else 40)


def test_a_spent_budget_lets_no_model_be_called_and_no_event_in() -> None:
    """Both say which budget it is; events say until when."""
    clock = ManualClock(datetime(2026, 2, 27, 13, tzinfo=UTC))
    meter = metered(clock, Ledger(today=5.0), cost_usd_per_day=5.0)
    with pytest.raises(BudgetExceeded, match="cost_usd_per_day"):
        meter.reserve(T, CALL, ticket=None)
    with pytest.raises(RefusedError) as refused:
        meter.admit_events(T)
    assert refused.value.code == "quota_exceeded"
    assert refused.value.retry_at == datetime(2026, 2, 28, tzinfo=UTC)


def test_the_budget_of_a_month_begins_anew_on_the_first() -> None:
    """Its reset is named even where the day's budget is spent as well."""
    clock = ManualClock(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    meter = metered(clock, Ledger(today=9, this_month=9), cost_usd_per_day=5, cost_usd_per_month=9)
    with pytest.raises(RefusedError, match="cost_usd_per_month") as refused:
        meter.admit_events(T)
    assert refused.value.retry_at == datetime(2027, 1, 1, tzinfo=UTC)


def test_without_redis_requests_are_let_in_and_calls_of_models_wait() -> None:
    """A limit that cannot be read keeps nobody from the API, and nobody from its money."""
    buckets = RedisBuckets(connect(f"redis://127.0.0.1:{free_port()}"))
    allowance = Allowance(api_requests_per_second=1, model_requests_per_minute=1)
    meter = Meter(buckets, lambda _: allowance, Ledger())
    assert meter.admit_request(T) is None
    later = meter.reserve(T, CALL, ticket=17)
    assert later is not None and (later.after, later.ticket) == (timedelta(seconds=1), 17)


def test_a_tenant_without_limits_asks_nobody() -> None:
    """Neither the buckets nor the ledger, both of which are away."""
    buckets = RedisBuckets(connect(f"redis://127.0.0.1:{free_port()}"))
    meter = Meter(buckets, lambda _: Allowance(), Ledger(), peek=lambda _: Allowance())
    assert meter.is_surely_free(T)
    assert meter.admit_request(T) is None
