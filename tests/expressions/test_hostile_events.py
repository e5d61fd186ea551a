"""No event makes an expression raise, hang or end the process: what does not fit is no value."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from scopes import any_text, expressions, hostile_scopes, nested, scope

from celeriac.platform.expression import MISSING, check, evaluate, holds, key_of

thorough = settings(max_examples=600, deadline=None, database=None, suppress_health_check=list(HealthCheck))

UNFIT = ["event.data.a.b", "event.data.a == 1", "event.data.a > 1", "event.data.l[5]", "async.data == 1", "nobody == 1"]
UNFIT += ["event.data.b / 0", "event.data.b + 9223372036854775807", "event.data.b && true", "event.data.s < 1"]
UNFIT += ["event.data.b.contains('x')", "int(event.data.s)", "timestamp(event.data.s) > timestamp(event.ts)"]
UNFIT += ["1 +", "", "x" * 2000, "event.data.s.matches('(')"]

#: Named, because not even their names could be written.
ODD = {
    "half": "\ud800",
    "half a key": {"\ud800": 1},
    "huge": 10**5000,
    "not a number": float("nan"),
    "object": object(),
    "set": {1, 2},
    "long range": range(10**12),
}


@thorough
@given(expressions | any_text, hostile_scopes)
def test_nothing_is_ever_raised(text: str, scope: dict[str, Any]) -> None:
    """By no expression, declared or not, over no event."""
    value = evaluate(text, scope)
    assert holds(text, scope) is (value is True)
    assert value is not MISSING or key_of(text, scope) is None


@pytest.mark.parametrize("text", UNFIT)
def test_what_does_not_fit_is_no_value_and_does_not_hold(text: str) -> None:
    """A missing key, a wrong type, a division by zero, an overflow, a text that is no expression."""
    place = {"event": scope({"b": 1, "l": [1], "s": "many"})["event"]}
    assert evaluate(text, place) is MISSING
    assert holds(text, place) is False


@pytest.mark.parametrize("value", [1, "true", "yes", [True], {"a": True}, 1.0])
def test_only_true_holds(value: Any) -> None:
    """Not what Python takes for true."""
    assert (holds("event.data.a", scope({"a": value})), holds("event.data.a", scope({"a": True}))) == (False, True)


@pytest.mark.parametrize("depth", [65, 1000, 100_000])
@pytest.mark.parametrize("lists", [True, False])
def test_deep_data_does_not_reach_the_library(depth: int, lists: bool) -> None:
    """It recurses on the machine's stack; some ten thousand levels end the process."""
    place = scope({"a": nested(depth, lists=lists), "b": 1})
    assert evaluate("event.data.a == event.data.a", place) is MISSING
    assert evaluate("event.data.a in [event.data.b]", place) is MISSING
    assert evaluate("size(event.data) == 2", place) is MISSING


def test_data_of_ordinary_depth_does_reach_it() -> None:
    """The edge is at 64 levels below the event's data."""
    text = "event.data == event.data && size(event.data) == 1"
    assert (evaluate(text, scope(nested(64))), evaluate(text, scope(nested(65)))) == (True, MISSING)


def test_an_odd_value_elsewhere_in_the_event_spoils_nothing() -> None:
    """The expression gets what it looks at, and nothing else."""
    odd = {"deep": nested(100_000), "half": "\ud800", "\ud800": 1, "huge": 10**5000, "not json": object()}
    assert (
        evaluate("event.data.n > 1 && event.data.o.s.startsWith('x')", scope({"n": 2, "o": {"s": "xy"}} | odd)) is True
    )


def test_what_is_looked_at_as_a_whole_is_whole() -> None:
    """Also where the expression looks at one part of it besides."""
    place = scope({"a": {"b": 1, "c": 2}, "d": 3})
    assert holds("event.data.a.b == 1 && size(event.data) == 2 && size(event.data.a) == 2", place) is True


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_value_that_is_looked_at_is_not_greater_than_one(odd: Any) -> None:
    """What JSON cannot hold, the language cannot compare."""
    place = scope({"a": odd, "l": [odd]})
    assert [holds(text, place) for text in ("event.data.a > 1", "event.data.a == 1", "1 in event.data.l")] == [
        False
    ] * 3


def test_a_mapping_of_another_kind_is_looked_into_as_well() -> None:
    """A scope may be handed over read-only."""
    place = MappingProxyType({"event": MappingProxyType({"data": MappingProxyType({"a": 2})})})
    assert (evaluate("event.data.a", place), evaluate("event.data.a > 1", place)) == (2, True)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)(.*)(.*)(.*)x$", "a*a*a*a*a*a*b"])
def test_a_pattern_is_linear_in_its_text(pattern: str) -> None:
    """With a backtracking engine each of these would outlast the test run."""
    text = f"event.data.a.matches('{pattern}')"
    assert evaluate(check(text), scope({"a": "a" * 100_000 + "c"})) is False


def test_a_heavy_pattern_does_not_see_a_long_text() -> None:
    """A machine of a thousand states would take seconds for half a megabyte, and more if texts are added up."""
    heavy = check("event.data.a.matches('([01]*1[01]{200})x')")
    added = check("(event.data.a + event.data.a + event.data.a + event.data.a).matches('([01]*1[01]{200})x')")
    assert evaluate(heavy, scope({"a": "01" * 10_000 + "x"})) is True
    assert evaluate(added, scope({"a": "01" * 10_000 + "x"})) is MISSING
    assert evaluate(heavy, scope({"a": "01" * 250_000 + "x"})) is MISSING


def test_a_simple_pattern_does_see_half_a_megabyte() -> None:
    """The limit is on the work, not on the text."""
    assert evaluate(check("event.data.a.matches('b[a-z]$')"), scope({"a": "a" * 512_000 + "bc"})) is True
