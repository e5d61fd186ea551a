"""The limits of a declaration, read and checked: what a function says about which of its runs may begin, and when.

Called when user code declares a function. What is returned stands in its `StartRules`; the Gate decides by the
concurrency, the throttle and the priority, and ingest by the rate limit and the singleton.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from celeriac.errors import ConfigError
from celeriac.platform.durable.checks import SECOND, WEEK, check_expression, check_span
from celeriac.platform.flow.limits import Batch, Concurrency, Priority, RateLimit, Singleton, Throttle

#: what `concurrency=` takes; a number is that of the function's links that execute at a time
Concurrencies = int | Concurrency | Sequence[Concurrency]

MOST_CONCURRENCIES = 2
MOST_OF_A_RATE = 10_000

#: how far a priority may reach, in seconds
FARTHEST = 43_200

_DAY = timedelta(hours=24)


def read_limits(
    what: str,
    *,
    batch: Batch | None,
    concurrency: Concurrencies,
    throttle: Throttle | None,
    rate_limit: RateLimit | None,
    priority: Priority | None,
    singleton: Singleton | None,
) -> dict[str, Any]:
    """Return the limits by their names as they are stored; raise `ConfigError` for one that cannot work."""
    return {
        "concurrency": _read_concurrencies(what, concurrency, batch),
        "throttle": None if throttle is None else _read_throttle(what, throttle, batch),
        "rate_limit": None if rate_limit is None else _read_rate_limit(what, rate_limit),
        "priority": None if priority is None else _read_priority(what, priority),
        "singleton": None if singleton is None else _read_singleton(what, singleton),
    }


def _read_concurrencies(what: str, given: Concurrencies, batch: Batch | None) -> tuple[Concurrency, ...]:
    if isinstance(given, int):
        given = Concurrency(given)
    limits = [given] if isinstance(given, Concurrency) else list(given)
    if len(limits) > MOST_CONCURRENCIES:
        raise ConfigError(f"{what}: {len(limits)} limits in concurrency=; a function has at most {MOST_CONCURRENCIES}")
    for limit in limits:
        _check_concurrency(what, limit)
        _check_key_of_batch(what, "Concurrency", limit.key, batch)
    places = [(limit.scope, limit.key, limit.hold) for limit in limits]
    if len(set(places)) < len(places):
        raise ConfigError(f"{what}: two limits in concurrency= of one scope, key and hold; leave the larger one out")
    return tuple(limits)


def _check_concurrency(what: str, limit: Concurrency) -> None:
    if not isinstance(limit, Concurrency):
        raise ConfigError(f"{what}: concurrency={limit!r} must be a number or a Concurrency, such as Concurrency(10)")
    _check_number(what, "Concurrency", limit.limit)
    if limit.scope not in ("function", "app", "tenant"):
        raise ConfigError(f"{what}: Concurrency(scope={limit.scope!r}) must be 'function', 'app' or 'tenant'")
    if limit.hold not in ("step", "run"):
        raise ConfigError(f"{what}: Concurrency(hold={limit.hold!r}) must be 'step' or 'run'")
    if limit.key is not None:
        check_expression(what, "Concurrency(key=)", limit.key)
    elif limit.scope != "function":
        raise ConfigError(
            f"{what}: Concurrency(scope={limit.scope!r}) needs a key=, by which functions share it; "
            "a text of its own will do, such as key=\"'printer'\""
        )


def _read_throttle(what: str, throttle: Throttle, batch: Batch | None) -> Throttle:
    if not isinstance(throttle, Throttle):
        raise ConfigError(f"{what}: throttle={throttle!r} must be a Throttle, such as Throttle(100, per='1m')")
    _check_number(what, "Throttle", throttle.limit)
    _check_number(what, "Throttle", throttle.burst, name="burst")
    if throttle.key is not None:
        check_expression(what, "Throttle(key=)", throttle.key)
    _check_key_of_batch(what, "Throttle", throttle.key, batch)
    return replace(throttle, per=check_span(what, "Throttle(per=)", throttle.per, SECOND, WEEK))


def _read_rate_limit(what: str, rate: RateLimit) -> RateLimit:
    if not isinstance(rate, RateLimit):
        raise ConfigError(f"{what}: rate_limit={rate!r} must be a RateLimit, such as RateLimit(10, per='1h')")
    _check_number(what, "RateLimit", rate.limit)
    if rate.limit > MOST_OF_A_RATE:
        raise ConfigError(f"{what}: RateLimit(limit={rate.limit}) must be at most {MOST_OF_A_RATE}, as each is counted")
    if rate.key is not None:
        check_expression(what, "RateLimit(key=)", rate.key)
    return replace(rate, per=check_span(what, "RateLimit(per=)", rate.per, SECOND, _DAY))


def _read_priority(what: str, priority: Priority) -> Priority:
    if not isinstance(priority, Priority):
        raise ConfigError(f"{what}: priority={priority!r} must be a Priority, such as Priority('event.data.urgency')")
    if isinstance(priority.seconds, bool) or not isinstance(priority.seconds, int | str):
        raise ConfigError(f"{what}: Priority({priority.seconds!r}) must be whole seconds or an expression")
    if isinstance(priority.seconds, int):
        return Priority(max(-FARTHEST, min(FARTHEST, priority.seconds)))
    return Priority(check_expression(what, "Priority", priority.seconds))


def _read_singleton(what: str, singleton: Singleton) -> Singleton:
    if not isinstance(singleton, Singleton):
        raise ConfigError(f"{what}: singleton={singleton!r} must be a Singleton, such as Singleton('event.data.doc')")
    if singleton.mode not in ("skip", "cancel"):
        raise ConfigError(f"{what}: Singleton(mode={singleton.mode!r}) must be 'skip' or 'cancel'")
    if singleton.key is not None:
        check_expression(what, "Singleton(key=)", singleton.key)
    return singleton


def _check_number(what: str, limit: str, number: int, *, name: str = "limit") -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigError(f"{what}: {limit}({name}={number!r}) must be 1 or more; leave it out for no limit")


def _check_key_of_batch(what: str, limit: str, key: str | None, batch: Batch | None) -> None:
    if batch is not None and key is not None and key != batch.key:
        raise ConfigError(
            f"{what}: {limit}(key={key!r}) beside batch= must have the batch's own key, {batch.key!r}, or none: "
            "any other is that of one event, and a batch has many"
        )
