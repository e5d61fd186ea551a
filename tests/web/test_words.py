"""The words of the dashboard: durations, money, and JSON that is coloured and still only text."""

from __future__ import annotations

import json
from datetime import timedelta
from html import unescape
from re import sub
from typing import Any

import pytest

from celeriac.web.dashboard.words import MOST_CHARACTERS, line, money, pretty, room_for, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "< 1 ms"),
        (0.0314, "31 ms"),
        (4.25, "4.2 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3 * 3600, "3 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


def test_money_has_the_places_that_it_needs() -> None:
    assert [money(dollars) for dollars in (0, 0.00042, 1.5)] == ["–", "$0.0004", "$1.50"]


@pytest.mark.parametrize("value", ['</pre><script>"\\', {'a"b': [1, -2.5e3, True, None, "x: 1"]}, {"<i>": "&amp;"}, []])
def test_coloured_json_reads_like_the_plain_one(value: Any) -> None:
    """Without our own marks nothing is left that a browser takes for markup, and the text is the JSON."""
    bare = sub(r'</?i(?: class="(?:key|string|number|word)")?>', "", str(pretty(value)))
    assert "<" not in bare
    assert unescape(bare) == json.dumps(value, ensure_ascii=False, indent=2)


def test_a_huge_value_is_cut() -> None:
    assert len(pretty("<" * 1_000_000)) < 6 * MOST_CHARACTERS
    assert "more characters" in pretty("<" * 1_000_000)


def test_the_more_steps_a_page_has_the_shorter_is_each_value() -> None:
    """So that the page grows with the steps, and not with what is in them."""
    assert [room_for(rows) for rows in (0, 1, 15, 300, 100_000)] == [20_000, 20_000, 20_000, 1_000, 400]
    assert "10 more characters" in pretty("x" * 1_008, 1_000)


def test_a_value_nested_beyond_all_bounds_is_named_as_such() -> None:
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    assert "too deep" in pretty(deep)
    assert "too deep" in line(deep)
    while deep:
        deep = deep.pop()
