"""A key is the JSON text of a value: the same text for equal values, another one for others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scopes import nested, scope

from celeriac.platform.expression import check, key_of

PATH = "event.data.a"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("u1", '"u1"'),
        ("née", '"née"'),
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (7.5, "7.5"),
        (2**70 + 1, str(2**70 + 1)),
        (True, "true"),
        (None, "null"),
        ("null", '"null"'),
        ({"b": 1.0, "a": [2.0, {"d": 1, "c": None}]}, '{"a":[2,{"c":null,"d":1}],"b":1}'),
    ],
)
def test_the_key_is_canonical_json(value: Any, key: str) -> None:
    """Keys in order, no spaces, whole numbers without a point."""
    assert key_of(PATH, scope({"a": value})) == key


def test_a_missing_value_has_no_key_but_null_has() -> None:
    """Runs without a key are not held together; runs whose key is null are."""
    assert (key_of(PATH, scope({})), key_of(PATH, scope({"a": None}))) == (None, "null")


@pytest.mark.parametrize("kind", ["half a character", "not a number", "infinite", "huge", "deep", "object"])
def test_a_value_without_a_json_form_has_no_key(kind: str) -> None:
    """It cannot be stored, so nothing can be held together by it."""
    odd = {"half a character": "\ud800", "not a number": float("nan"), "infinite": float("inf")}
    odd |= {"huge": 10**5000, "deep": nested(100_000), "object": object()}
    assert key_of(PATH, scope({"a": odd[kind]})) is None


def test_what_an_expression_computes_may_be_a_key() -> None:
    """Several values as a list, a part of a text, a time."""
    place = scope({"a": "u1", "n": 3})
    assert key_of(check("[event.data.a, event.data.n]"), place) == '["u1",3]'
    assert key_of(check("event.data.a + '-' + string(event.data.n)"), place) == '"u1-3"'
    assert key_of(check("timestamp('2026-03-04T07:06:07+02:00')"), place) == '"2026-03-04T05:06:07Z"'
    assert key_of(check("event.data.n > 2 ? 'large' : 'small'"), place) == '"large"'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé\n\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, database=None)
@given(json_values)
def test_a_key_reads_back_as_the_value(value: Any) -> None:
    """So different values never share one, and a round through JSON changes none."""
    key = key_of(PATH, scope({"a": value}))
    assert key is not None
    assert json.loads(key) == value
    assert key_of(PATH, scope({"a": json.loads(json.dumps(value))})) == key
