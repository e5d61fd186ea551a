"""The meter: what a tenant may ask of the API and of models, and what it may spend.

The web asks it for each request, the intake for what comes in, and the engine for each call of a model in a durable
run. It joins the tenant's allowance of the moment with the token buckets and with what was spent. It decides and takes,
and never waits: who is told to come later parks, or says so to its client.

Without Redis, requests to the API are let in: being down because a limit cannot be read helps nobody. Calls of models
wait instead, because the money and the provider's patience belong to the tenant, and little else goes on without Redis.
Without the database nothing is known of what was spent, and `StoreUnavailable` is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from celeriac.errors import BudgetExceeded, RefusedError
from celeriac.platform.flow.buckets import Buckets, BucketsUnavailable, Later, Taken, Want

log = logging.getLogger(__name__)

#: what a bucket of requests to the API holds where nothing else is said: as much as these seconds bring
_API_SAVED_SECONDS = 2.0

#: the part of a minute's calls or tokens that may be saved up, at least one: by so much a minute may be above the limit
_SAVED = 1 / 20

#: how long a call of a model waits before it asks again while the buckets cannot be asked
_BLIND = timedelta(seconds=1)

#: who waits for longer looks again before: for tokens after this time and a quarter of the rest, as calls before it may
#: have used less than estimated; for requests after half of it all, as runs before it may have been cancelled
_LOOKS_AGAIN = {"tokens": timedelta(seconds=10), "requests": timedelta(minutes=1)}

_API = "api"


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a tenant may take; None: no limit."""

    api_requests_per_second: float | None = None
    api_burst: int | None = None
    model_requests_per_minute: int | None = None
    model_tokens_per_minute: int | None = None
    cost_usd_per_day: float | None = None
    cost_usd_per_month: float | None = None
    queued_runs: int | None = None
    event_bytes: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether calls of models are neither counted nor paid for."""
        return (
            self.model_requests_per_minute is None
            and self.model_tokens_per_minute is None
            and self.cost_usd_per_day is None
            and self.cost_usd_per_month is None
        )


@dataclass(frozen=True, kw_only=True)
class Toll:
    """What a call of a model takes of its tenant's limits: one request, and so many tokens by estimate."""

    provider: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Level:
    """How a bucket stands, for people and headers."""

    limit: float
    left: float
    #: until it is full, and until it would be if it were empty
    reset: timedelta
    window: timedelta


class Spent(Protocol):
    """What models have cost a tenant, in US dollars, by UTC."""

    @property
    def today(self) -> float:
        """Since midnight."""
        ...

    @property
    def this_month(self) -> float:
        """Since the first of the month."""
        ...


class Spending(Protocol):
    """Knows what committed calls of models have cost."""

    def spent_now(self, tenant_id: str) -> Spent:
        """Return what was spent until now."""
        ...


class Meter:
    """Safe to share between threads; `peek` tells the allowance without waiting, where it is known."""

    def __init__(
        self,
        buckets: Buckets,
        allowance: Callable[[str], Allowance],
        spending: Spending,
        *,
        peek: Callable[[str], Allowance | None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the buckets, and the ways to a tenant's allowance of the moment and to what it has spent."""
        self._buckets, self.allowance, self._spending = buckets, allowance, spending
        self._peek, self._now = peek, now
        self._is_blind = False

    def begin(self) -> None:
        """Let buckets of an installation that nobody has used yet fill before the first request comes."""
        try:
            self._buckets.begin()
        except BucketsUnavailable as error:
            log.info("The token buckets do not answer (%s); they fill from their first use on", error)

    # -- the API ------------------------------------------------------------------------------------------------

    def admit_request(self, tenant_id: str) -> Level | None:
        """Take one request to the API; None where it is not limited, or the buckets cannot be asked.

        Raises `RefusedError` with the code `rate_limited` and the time from which on there is room.
        """
        want = _api_want(self.allowance(tenant_id))
        if want is None:
            return None
        try:
            answer = self._buckets.take(tenant_id, [want])
        except BucketsUnavailable as error:
            self._note_blindness(error, "requests are let in without being counted")
            return None
        self._is_blind = False
        if isinstance(answer, Later):
            raise RefusedError(
                f"More than {want.rate:g} requests a second (and {want.burst:g} at once); ask again a little later",
                code="rate_limited",
                retry_at=self._now() + answer.after,
                limit="api_requests_per_second",
            )
        return _level(want, answer.left[0])

    def no_requests_left(self, tenant_id: str) -> Level | None:
        """Return how the bucket of requests stands when it has refused one, asking nobody."""
        want = _api_want(self.allowance(tenant_id))
        return None if want is None else _level(want, 0.0)

    def admit_events(self, tenant_id: str) -> Allowance:
        """Return what may come in now; raise `RefusedError` with the code `quota_exceeded` once the budget is spent."""
        allowance = self.allowance(tenant_id)
        over = self._over_budget(tenant_id, allowance)
        if over is not None:
            name, reset_at = over
            raise RefusedError(
                f"The budget {name!r} is spent; it begins anew at {_clock(reset_at)}",
                code="quota_exceeded",
                retry_at=reset_at,
                limit=name,
            )
        return allowance

    # -- models -------------------------------------------------------------------------------------------------

    def is_surely_free(self, tenant_id: str) -> bool:
        """Say, without asking anybody, whether calls of models are neither counted nor paid for; False: ask."""
        allowance = self._peek(tenant_id)
        return allowance is not None and allowance.is_free

    def reserve(self, tenant_id: str, toll: Toll, *, ticket: int | None) -> Later | None:
        """Take what a call needs; or say how long it waits, in line with all others of the tenant and the provider.

        The answer's ticket is the call's place in the line: it is to be shown at each return. Raises `BudgetExceeded`.
        """
        allowance = self.allowance(tenant_id)
        over = self._over_budget(tenant_id, allowance)
        if over is not None:
            name, reset_at = over
            raise BudgetExceeded(f"The tenant's budget {name!r} is spent; it begins anew at {_clock(reset_at)}")
        wants = _model_wants(allowance, toll)
        try:
            answer = self._buckets.queue(tenant_id, wants, ticket=ticket)
        except BucketsUnavailable as error:
            self._note_blindness(error, "calls of models wait for it")
            return Later(after=_BLIND, name=wants[0].name, left=(), ticket=ticket)
        self._is_blind = False
        return None if isinstance(answer, Taken) else replace(answer, after=_look_again(answer))

    def settle(self, tenant_id: str, toll: Toll, used: int) -> None:
        """Put right what was reserved, once it is known how many tokens were used; never raises for a broken hint."""
        try:
            allowance = self.allowance(tenant_id)
            limit = allowance.model_tokens_per_minute
            if limit is not None and used != toll.tokens:
                self._buckets.settle(tenant_id, [_minute_want(toll.provider, "tokens", used - toll.tokens, limit)])
        except Exception as error:  # noqa: BLE001  # the estimate then stands
            log.warning("What a call of %r used could not be settled: %s", toll.provider, type(error).__name__)

    # -- for people ---------------------------------------------------------------------------------------------

    def levels(self, tenant_id: str, providers: tuple[str, ...]) -> dict[str, Level]:
        """Return how the tenant's buckets stand, by name; empty where they cannot be asked."""
        allowance = self.allowance(tenant_id)
        api = _api_want(allowance)
        wants = [] if api is None else [api]
        for provider in providers:
            wants += _model_wants(allowance, Toll(provider=provider, tokens=0))
        try:
            left = self._buckets.left(tenant_id, wants)
        except BucketsUnavailable:
            return {}
        return {want.name: _level(want, tokens) for want, tokens in zip(wants, left, strict=True)}

    def spent(self, tenant_id: str) -> Spent:
        """Return what models have cost today and this month."""
        return self._spending.spent_now(tenant_id)

    def resets(self) -> tuple[datetime, datetime]:
        """Return when the day and the month end, and budgets begin anew."""
        day = self._now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day + timedelta(days=1), (day.replace(day=1) + timedelta(days=32)).replace(day=1)

    def _over_budget(self, tenant_id: str, allowance: Allowance) -> tuple[str, datetime] | None:
        """Return the budget that is spent and when it begins anew; the month's where both are."""
        if allowance.cost_usd_per_day is None and allowance.cost_usd_per_month is None:
            return None
        spent = self._spending.spent_now(tenant_id)
        tomorrow, next_month = self.resets()
        if allowance.cost_usd_per_month is not None and spent.this_month >= allowance.cost_usd_per_month:
            return "cost_usd_per_month", next_month
        if allowance.cost_usd_per_day is not None and spent.today >= allowance.cost_usd_per_day:
            return "cost_usd_per_day", tomorrow
        return None

    def _note_blindness(self, error: Exception, then: str) -> None:
        """Log an outage once."""
        if not self._is_blind:
            log.warning("The token buckets do not answer (%s); %s", error, then)
        self._is_blind = True


def _api_want(allowance: Allowance) -> Want | None:
    rate = allowance.api_requests_per_second
    if rate is None:
        return None
    burst = allowance.api_burst or max(1, round(rate * _API_SAVED_SECONDS))
    return Want(name=_API, amount=1, rate=rate, burst=burst)


def _model_wants(allowance: Allowance, toll: Toll) -> list[Want]:
    wants = []
    if allowance.model_requests_per_minute is not None:
        wants.append(_minute_want(toll.provider, "requests", 1, allowance.model_requests_per_minute))
    if allowance.model_tokens_per_minute is not None:
        wants.append(_minute_want(toll.provider, "tokens", toll.tokens, allowance.model_tokens_per_minute))
    return wants


def _minute_want(provider: str, what: str, amount: float, limit: int) -> Want:
    return Want(name=f"{provider}:{what}", amount=amount, rate=limit / 60, burst=max(1, limit * _SAVED))


def _look_again(told: Later) -> timedelta:
    """Return when a call comes back that was told to wait: then, or before; no two who were told apart at once."""
    what = told.name.rpartition(":")[2]
    if told.after <= _LOOKS_AGAIN[what]:
        return told.after
    if what == "requests":
        return told.after / 2
    return _LOOKS_AGAIN[what] + (told.after - _LOOKS_AGAIN[what]) / 4


def _level(want: Want, left: float) -> Level:
    return Level(
        limit=want.burst,
        left=left,
        reset=timedelta(seconds=max(0.0, want.burst - left) / want.rate),
        window=timedelta(seconds=want.burst / want.rate),
    )


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
