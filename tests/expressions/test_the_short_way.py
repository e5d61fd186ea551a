"""Paths and plain comparisons are evaluated without the library, and say what it would say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from scopes import ORDINARY_PATHS, comparisons, conjunctions, hostile_scopes, scope

from celeriac.platform.expression import MISSING, evaluate
from celeriac.platform.expression.program import Program
from celeriac.platform.expression.shortcut import shortcut
from celeriac.platform.expression.source import read
from celeriac.platform.expression.tokens import Unfit

thorough = settings(max_examples=600, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def by_library(text: str, scope: Mapping[str, Any]) -> Any:
    """Evaluate without the short way."""
    return Program(read(text)).run(scope)


def is_short(text: str) -> bool:
    """Say whether ordinary events need no library."""
    try:
        return shortcut(read(text), lambda _scope: MISSING) is not None
    except Unfit:
        return False


@thorough
@given(comparisons | conjunctions, hostile_scopes)
def test_a_condition_agrees_with_the_library(text: str, scope: dict[str, Any]) -> None:
    """Whatever the event holds, whichever part is missing, and whether it is true, false or no value."""
    assume(is_short(text) and text not in ORDINARY_PATHS)
    assert evaluate(text, scope) is by_library(text, scope)


@pytest.mark.parametrize(
    ("text", "data", "value"),
    [
        ("event.data.a != 'x'", {"a": "\ud800"}, MISSING),
        ("event.data.a != 1", {"a": 10**400}, MISSING),
        ("event.data.a == event.data.b", {"a": 2**70, "b": 2**70 + 1}, True),
        ("event.data.a == event.data.b", {"a": 2**53 + 1, "b": 2.0**53}, True),
        ("event.data.a == event.data.b", {"a": 2**63, "b": 2**63 + 1}, False),
        ("event.data.a.b == 1 && event.data.c == 2", {"a": "\ud800", "c": 1}, False),
        ("event.data.a == event.data.a", {"a": float("nan")}, False),
        ("event.data.a == event.data.b", {"a": [1, {"b": 1}], "b": [1.0, {"b": 1.0}]}, True),
        ("event.data.a == event.data.b", {"a": [1], "b": [True]}, False),
    ],
)
def test_unusual_values_agree_with_the_library(text: str, data: dict[str, Any], value: Any) -> None:
    """Halves of characters, whole numbers beyond 64 bits (compared as the double next to them), lists."""
    place = scope(data)
    assert (evaluate(text, place), by_library(text, place)) == (value, value)


@pytest.mark.parametrize("text", ORDINARY_PATHS)
@pytest.mark.parametrize("value", [None, True, 0, -1, 2**64 - 1, 1.5, "", "é😀", [1, {"a": 2}], {"a": {"b": None}}])
def test_a_path_agrees_with_the_library(text: str, value: Any) -> None:
    """Also in the type of the value, as its JSON shows it."""
    place = scope({"a": value, "b": {"a": value}, "some-key": value}, value)
    found = evaluate(text, place), by_library(text, place)
    assert is_short(text)
    assert json.dumps(found[0], default=repr, sort_keys=True) == json.dumps(found[1], default=repr, sort_keys=True)


def test_a_path_gives_the_value_itself_however_large() -> None:
    """Two ids beyond 64 bits stay two, though the library would round them."""
    assert evaluate("event.data.a", scope({"a": 2**70 + 1})) == 2**70 + 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("event.data.a == 1", False),
        ("event.data.a == true", True),
        ("event.data.b == 1", True),
        ("event.data.b == 1.0", True),
        ("event.data.b != true", True),
        ("event.data.a == async.data.a", False),
        ("event.data.b == async.data.a", True),
        ("event.data.c == 1 && event.data.b == 2", False),
        ("event.data.c == 1 && event.data.b == 1", MISSING),
        ("event.data.a && event.data.b == 1", True),
        ("event.data.b && event.data.a", MISSING),
    ],
)
def test_equality_is_that_of_json(text: str, value: Any) -> None:
    """True is not 1, 1 is 1.0, and what is missing is neither equal nor different."""
    assert evaluate(text, scope({"a": True, "b": 1.0}, {"a": 1})) is value


def test_ordinary_conditions_never_load_the_library() -> None:
    """It takes a quarter of a second and brings a terminal toolkit along."""
    code = """
import sys
from celeriac.platform.expression import check, evaluate, holds, key_of
scope = {"event": {"data": {"a": 1, "b": "x"}}, "async": {"data": {"a": 1}}}
text = "event.data.a == async.data.a && event.data.b != 'y'"
assert holds(check(text, names=("event", "async")), scope) and key_of(check("event.data.b"), scope) == '"x"'
print("cel" in sys.modules, evaluate("event.data.a > 0", scope), "cel" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
