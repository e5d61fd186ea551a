"""Start rules as they are declared: what goes together, where the limits lie, and what an error says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from celeriac import Agent, App, Batch, Context, Cron, Debounce, Event, Network, Trigger
from celeriac.errors import ConfigError
from celeriac.platform.durable.declaration import Declaration
from celeriac.testing import Harness
from engine_stage import new_app


async def _works(ctx: Context) -> None:
    return None


async def _takes(ctx: Context, n: int, m: int = 1) -> None:
    return None


def declared(**options: Any) -> Declaration:
    """Declare a function and return what the store keeps of it."""
    app = new_app()
    app.function("work", **options)(_works)
    [one] = app.declarations(home="ten_home")
    return one


ELEVEN = [f"event-{n}" for n in range(11)]
SIX = [f"stop-{n}" for n in range(6)]
A_BATCH: dict[str, Any] = {"batch": Batch(2, timeout=1)}

REFUSED: dict[str, dict[str, Any]] = {
    "batch= and debounce= do not go together": {**A_BATCH, "debounce": Debounce(1)},
    "batch= and idempotency= do not go together": {**A_BATCH, "idempotency": "event.data.id"},
    "batch= and cancel_on= do not go together": {**A_BATCH, "cancel_on": "stop"},
    "at most 10": {"on": ELEVEN},
    "names 'a' twice": {"on": ["a", Trigger("a")]},
    "names '0 6 \\* \\* \\*' twice": {"on": [Cron("0 6 * * *"), Cron("0  6 * * *", jitter="1m")]},
    "'a' must|must be an event's name": {"on": ["a b"]},
    "may end in": {"on": "*a"},
    "255 characters": {"on": "a" * 256},
    "must be an event's name, a Trigger or a Cron": {"on": [7]},
    "belongs into cancel_on": {"on": Trigger("a", match="data.id")},
    "if_ of 'a': The expression": {"on": Trigger("a", if_="event.data.n >")},
    "speaks of 'async'": {"on": Trigger("a", if_="async.data.n == 1")},
    "platform's own": {"on": Trigger("celeriac/cron")},
    "five fields": {"on": Cron("* * * *")},
    "no time zone": {"on": Cron("* * * * *", tz="Mars")},
    "Debounce\\(period=\\) is 0.5; it must be 1 s to 7 days": {"debounce": Debounce(0.5)},
    "Debounce\\(period=\\) is '169h'": {"debounce": Debounce("169h")},
    "Debounce\\(max_wait=\\) is 1; it must be 2 s": {"debounce": Debounce(2, max_wait=1)},
    "Debounce\\(key=\\)": {"debounce": Debounce(1, key="event.")},
    "must be a Debounce": {"debounce": "10s"},
    "size=1\\) must be 2": {"batch": Batch(1, timeout=1)},
    "at most 10000": {"batch": Batch(10_001, timeout=1)},
    "Batch\\(timeout=\\) is 0.999": {"batch": Batch(2, timeout=0.999)},
    "Batch\\(if_=\\)": {"batch": Batch(2, timeout=1, if_="1 +")},
    "must be a Batch": {"batch": 10},
    "idempotency: The expression": {"idempotency": "event.data."},
    "idempotency must be an expression": {"idempotency": 7},
    "6 events in cancel_on": {"cancel_on": SIX},
    "without '\\*'": {"cancel_on": "stop*"},
    "no dotted path": {"cancel_on": Trigger("stop", match="data[0]")},
    "if_ of 'stop' in cancel_on=": {"cancel_on": Trigger("stop", if_="other == 1")},
    "the timeout of 'stop'": {"cancel_on": Trigger("stop", timeout=0)},
    "start_timeout=0 must be more than nothing": {"start_timeout": 0},
    "timeout='367d' must be more than nothing and at most 366 days": {"timeout": "367d"},
    "no duration": {"timeout": "soon"},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_work_is_refused_with_the_reason(words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        declared(**REFUSED[words])
    assert str(error.value).startswith("Function 'work'") or "duration" in words or "path" in words


ALLOWED: dict[str, dict[str, Any]] = {
    "ten triggers": {"on": ELEVEN[:10]},
    "a long name": {"on": "a" * 255},
    "a long pattern": {"on": "a" * 254 + "*"},
    "one name under two conditions": {
        "on": [Trigger("a", if_="event.data.n == 1"), Trigger("a", if_="event.data.n == 2")]
    },
    "one schedule in two zones": {"on": [Cron("0 6 * * *"), Cron("0 6 * * *", tz="Asia/Tokyo")]},
    "the shortest debounce": {"debounce": Debounce(1, max_wait=1)},
    "the longest debounce": {"debounce": Debounce("7d", max_wait="366d")},
    "the smallest batch": {"batch": Batch(2, timeout=1)},
    "five cancelling events": {"cancel_on": SIX[:5]},
    "the end of another run cancels": {
        "cancel_on": Trigger("celeriac/run.finished", if_="async.data.n == event.data.n")
    },
    "debounce beside all others": {"debounce": Debounce(1), "idempotency": "event.data.id", "cancel_on": "stop"},
    "the longest timeouts": {"start_timeout": "366d", "timeout": "366d"},
}


@pytest.mark.parametrize("words", ALLOWED)
def test_what_works_at_its_limit_is_declared(words: str) -> None:
    assert declared(**ALLOWED[words]).function_id == "work"


def test_durations_are_read_once() -> None:
    rules = declared(debounce=Debounce("1m", max_wait="1h"), timeout="2s").rules
    assert rules.debounce == Debounce(timedelta(minutes=1), max_wait=timedelta(hours=1))
    assert rules.timeout == timedelta(seconds=2)


def test_a_function_with_a_cron_alone_answers_to_no_event() -> None:
    one = declared(on=Cron("0 6 * * *", tz="Europe/Paris"))
    assert (one.triggers, [(cron.cron, cron.tz, cron.tenant_id) for cron in one.crons]) == (
        (),
        [("0 6 * * *", "Europe/Paris", "ten_home")],
    )


def test_a_cron_needs_a_tenant_or_is_for_each() -> None:
    app = new_app()
    app.function("work", on=Cron("0 6 * * *"))(_works)
    with pytest.raises(ConfigError, match="CELERIAC_DEFAULT_TENANT"):
        app.declarations()
    other = new_app()
    other.function("work", on=Cron("0 6 * * *", each_tenant=True))(_works)
    assert other.declarations()[0].crons[0].tenant_id is None


@pytest.mark.parametrize("options", [{"on": Cron("0 6 * * *")}, A_BATCH])
def test_parameters_need_defaults_where_no_event_brings_them(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="the parameters n need defaults"):
        new_app().function("work", **options)(_takes)


EVERYWHERE: list[Callable[[App, Any], Any]] = [
    lambda app, options: app.network(
        Network("n", agents=[Agent("a", model="openai:gpt-4.1-mini")], router=lambda ctx: None), **options
    ),
    lambda app, options: app.agent(Agent("a"), **options),
]


@pytest.mark.parametrize("declare", EVERYWHERE)
def test_networks_and_agents_take_the_same_options_but_no_batch(declare: Callable[[App, Any], Any]) -> None:
    function = declare(new_app(), {"on": ["a", Trigger("b")], "debounce": Debounce(1), "timeout": "1m", "retries": 2})
    assert function.options.rules.timeout == timedelta(minutes=1)
    with pytest.raises(ConfigError, match="Unknown option 'batch'"):
        declare(new_app(), A_BATCH)


def test_a_handler_of_failures_must_be_a_coroutine() -> None:
    with pytest.raises(ConfigError, match="on_failure must be `async def`"):
        declared(on_failure=lambda ctx, error: None)


async def test_a_batch_of_typed_events_has_their_types() -> None:
    from pydantic import BaseModel

    class Order(BaseModel):
        cents: int

    app = new_app()
    app.event("order", Order)

    @app.function(on="order", batch=Batch(2, timeout="1m"))
    async def bill(ctx: Context) -> int:
        return sum(event.data.cents for event in ctx.events)

    async with Harness(app) as h:
        [run] = await h.send([Event("order", {"cents": 1}), Event("order", {"cents": 2})])
        assert h.run(run.id).output == 3
