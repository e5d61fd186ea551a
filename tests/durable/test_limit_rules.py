"""Limits as they are declared: where they lie, what goes together, and what an error says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from celeriac import (
    Agent,
    App,
    Batch,
    Concurrency,
    Context,
    Debounce,
    Network,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
)
from celeriac.errors import ConfigError
from celeriac.platform.durable.declaration import Declaration, StartRules
from engine_stage import new_app


async def _works(ctx: Context) -> None:
    return None


def declared(**options: Any) -> Declaration:
    """Declare a function and return what the store keeps of it."""
    app = new_app()
    app.function("work", **options)(_works)
    [one] = app.declarations(home="ten_home")
    return one


BATCH: dict[str, Any] = {"batch": Batch(2, timeout=1, key="event.data.a")}

REFUSED: dict[str, dict[str, Any]] = {
    "3 limits in concurrency=; a function has at most 2": {"concurrency": [Concurrency(n) for n in (1, 2, 3)]},
    "Concurrency\\(limit=0\\) must be 1 or more": {"concurrency": 0},
    "Concurrency\\(limit=True\\)": {"concurrency": Concurrency(True)},
    "must be a number or a Concurrency": {"concurrency": [7]},
    "scope='app'\\) needs a key": {"concurrency": Concurrency(1, scope="app")},
    "scope='tenant'\\) needs a key": {"concurrency": Concurrency(1, scope="tenant")},
    "must be 'function', 'app' or 'tenant'": {"concurrency": Concurrency(1, key="event.id", scope="all")},  # type: ignore[arg-type]
    "must be 'step' or 'run'": {"concurrency": Concurrency(1, hold="link")},  # type: ignore[arg-type]
    "two limits in concurrency= of one scope": {"concurrency": [Concurrency(1), Concurrency(2)]},
    "Concurrency\\(key=\\): The expression": {"concurrency": Concurrency(1, key="event.")},
    "Throttle\\(limit=0\\)": {"throttle": Throttle(0, per="1m")},
    "Throttle\\(burst=0\\)": {"throttle": Throttle(1, per="1m", burst=0)},
    "Throttle\\(per=\\) is '8d'; it must be 1 s to 7 days": {"throttle": Throttle(1, per="8d")},
    "Throttle\\(per=\\) is 0.5": {"throttle": Throttle(1, per=0.5)},
    "must be a Throttle": {"throttle": 100},
    "RateLimit\\(per=\\) is '25h'; it must be 1 s to 1 days": {"rate_limit": RateLimit(1, per="25h")},
    "RateLimit\\(limit=10001\\) must be at most 10000": {"rate_limit": RateLimit(10_001, per="1h")},
    "must be a RateLimit": {"rate_limit": 10},
    "RateLimit\\(key=\\)": {"rate_limit": RateLimit(1, per="1h", key="1 +")},
    "must be a Priority": {"priority": 10},
    "whole seconds or an expression": {"priority": Priority(1.5)},  # type: ignore[arg-type]
    "Priority: The expression": {"priority": Priority("event.data.")},
    "must be a Singleton": {"singleton": True},
    "must be 'skip' or 'cancel'": {"singleton": Singleton(mode="wait")},  # type: ignore[arg-type]
    "Singleton\\(key=\\)": {"singleton": Singleton("event.")},
    "batch= and rate_limit= do not go together": {**BATCH, "rate_limit": RateLimit(1, per="1h")},
    "batch= and singleton= do not go together": {**BATCH, "singleton": Singleton()},
    "batch= and priority= do not go together": {**BATCH, "priority": Priority(1)},
    "must have the batch's own key, 'event.data.a'": {**BATCH, "concurrency": Concurrency(1, key="event.data.b")},
    "Throttle\\(key='event.data.b'\\) beside batch=": {**BATCH, "throttle": Throttle(1, per=1, key="event.data.b")},
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_limit_that_cannot_work_is_refused_with_the_reason(words: str) -> None:
    """At import, and with the function's name."""
    with pytest.raises(ConfigError, match=words) as error:
        declared(**REFUSED[words])
    assert str(error.value).startswith("Function 'work'")


ALLOWED: dict[str, dict[str, Any]] = {
    "a number": {"concurrency": 1},
    "two limits": {"concurrency": [Concurrency(20), Concurrency(1, key="event.data.a")]},
    "of links and of runs": {"concurrency": [Concurrency(2), Concurrency(9, hold="run")]},
    "the longest throttle": {"throttle": Throttle(1, per="7d", burst=5)},
    "the longest rate limit": {"rate_limit": RateLimit(10_000, per="24h")},
    "beside a batch of the same key": {**BATCH, "concurrency": Concurrency(1, key="event.data.a")},
    "beside a debounce": {"debounce": Debounce(1), "singleton": Singleton(), "rate_limit": RateLimit(1, per=1)},
}


@pytest.mark.parametrize("words", ALLOWED)
def test_a_limit_that_works_at_its_edge_is_stored_and_read_back(words: str) -> None:
    """With its durations."""
    rules = declared(**ALLOWED[words]).rules
    assert StartRules.decode(rules.encode()) == rules


def test_rules_that_an_older_version_stored_have_no_limits() -> None:
    """Their rows name the options of their time alone."""
    older = '{"debounce":null,"batch":null,"idempotency":"event.id","cancel_on":[],"start_timeout":9,"timeout":null}'
    rules = StartRules.decode(older)
    assert (rules.concurrency, rules.throttle, rules.start_timeout) == ((), None, timedelta(seconds=9))


@pytest.mark.parametrize(("given", "kept"), [(43_201, 43_200), (-99_999, -43_200), (7, 7)])
def test_a_priority_reaches_twelve_hours_at_most(given: int, kept: int) -> None:
    """Either way."""
    assert declared(priority=Priority(given)).rules.priority == Priority(kept)


def _network(app: App, options: Any) -> Any:
    return app.network(
        Network("n", agents=[Agent("a", model="openai:gpt-4.1-mini")], router=lambda ctx: None), **options
    )


def _agent(app: App, options: Any) -> Any:
    return app.agent(Agent("a"), **options)


@pytest.mark.parametrize("declare", [_network, _agent])
def test_networks_and_agents_take_limits_too(declare: Any) -> None:
    """As functions do."""
    options = {"concurrency": 2, "throttle": Throttle(1, per="1m"), "singleton": Singleton("event.data.doc")}
    assert declare(new_app(), options).options.rules.concurrency == (Concurrency(2),)
