"""Admission: what is frozen of a run's limits, and which numbers it is bound to afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from celeriac.platform.durable.admission import UNBOUND, admission, bind, freeze
from celeriac.platform.durable.declaration import Declaration, StartRules
from celeriac.platform.flow.gate import Pace, Queued
from celeriac.platform.flow.limits import Concurrency, Priority, Throttle

MINUTE = timedelta(minutes=1)


def limited(id: str = "work", app: str = "shop", **rules: Any) -> Declaration:
    """Declare a function with limits."""
    return Declaration(app=app, function_id=id, rules=StartRules(**rules))


def frozen(function: Declaration, **data: Any) -> Queued:
    """Return a run that begins with an event of these data."""
    gate = freeze(function, {"name": "go", "data": data})
    return Queued(run_id="run_1", tenant_id="ten_1", queue="runs", fence=1, function=function.name, **admission(gate))


def pool_of(function: Declaration, **data: Any) -> str:
    """Return the name of the run's only pool."""
    [pool] = frozen(function, **data).pools
    return pool.name


def by(key: str | None = "event.data.user", **options: Any) -> Declaration:
    """Declare a function with one concurrency limit."""
    named = {name: options.pop(name) for name in ("id", "app") if name in options}
    return limited(**named, concurrency=(Concurrency(1, key=key, **options),))


def test_a_function_without_limits_freezes_nothing() -> None:
    """Plain runs pay nothing."""
    assert freeze(limited(timeout=MINUTE), {"data": {}}) is None


def test_equal_values_of_a_key_are_one_pool_and_others_are_others() -> None:
    """Numbers that are equal are equal."""
    assert pool_of(by(), user=1) == pool_of(by(), user=1.0)
    assert len({pool_of(by(), user=user) for user in (1, "1", None, [1], True)}) == 5


def test_a_key_that_is_missing_is_null() -> None:
    """So that no event slips past the limit."""
    assert pool_of(by()) == pool_of(by(), user=None)


@pytest.mark.parametrize(("scope", "shared"), [("function", 4), ("app", 2), ("tenant", 1)])
def test_the_scope_says_who_shares_a_pool(scope: str, shared: int) -> None:
    """All functions of it with the same key."""
    functions = [by(id=id, app=app, scope=scope) for app in ("shop", "desk") for id in ("a", "b")]
    assert len({pool_of(one, user=1) for one in functions}) == shared


def test_numbers_are_those_that_are_declared_now() -> None:
    """And those of the two limits, each its own."""
    first, second = Concurrency(1), Concurrency(2, key="event.data.user", hold="run")
    run = frozen(limited(concurrency=(first, second)), user=1)
    now = limited(concurrency=(replace(second, limit=9), replace(first, limit=7)))
    assert [(pool.slots, pool.is_for_run) for pool in bind(run, now).pools] == [(7, False), (9, True)]


def test_a_limit_with_a_new_key_binds_new_runs_alone() -> None:
    """Those that are queued have no value of it."""
    run = frozen(limited(concurrency=(Concurrency(1, key="event.data.a"),), throttle=Throttle(1, per=MINUTE)), a=1)
    now = limited(concurrency=(Concurrency(1, key="event.data.b"),), throttle=Throttle(1, per=MINUTE, key="event.id"))
    for bound in (bind(run, now), bind(run, None)):
        assert bound.pace is not None
        assert [*(pool.slots for pool in bound.pools), bound.pace.starts, bound.pace.burst] == [UNBOUND] * 3


def test_a_throttle_is_filled_in() -> None:
    """With all its numbers."""
    function = limited(throttle=Throttle(3, per=MINUTE, key="event.data.user", burst=2))
    run = frozen(function, user=1)
    assert run.pace is not None
    assert bind(run, function).pace == Pace(name=run.pace.name, starts=3, per=MINUTE, burst=2)


@pytest.mark.parametrize(
    ("value", "seconds"), [(30, 30), (-2.9, -2), (1e12, 43_200), ("soon", 0), (True, 0), (None, 0), ([1], 0)]
)
def test_a_priority_is_a_number_or_nothing(value: object, seconds: int) -> None:
    """And within its bounds."""
    assert frozen(limited(priority=Priority("event.data.urgency")), urgency=value).priority == seconds


def test_a_priority_that_cannot_be_evaluated_is_none() -> None:
    """The run starts in its turn."""
    assert frozen(limited(priority=Priority("event.data.urgency / event.data.zero")), urgency=3, zero=0).priority == 0
