"""The weight of a pattern is told in one look at it, also where it is written to be looked at again and again."""

from __future__ import annotations

import re

import pytest

from celeriac.platform.expression.pattern import TIMES, weight_of


def test_the_reading_of_a_repetition_gives_nothing_back() -> None:
    """`{` with five hundred spaces, a comma and as many again kept a thread busy for ten seconds."""
    repeats = re.findall(r"(?<=[^(])[*+?]+", TIMES.pattern)
    assert repeats and all(repeat in ("*+", "?+") for repeat in repeats)


@pytest.mark.parametrize(
    ("pattern", "weight"), [("a{ 3 , 40 }", 40), ("a{3}", 3), ("a{,7}", 7), ("a{ }", 1), ("a{3", 3), ("a{1,2,3}", 8)]
)
def test_repetitions_are_written_out(pattern: str, weight: int) -> None:
    """What is no repetition is one letter after the other."""
    assert weight_of(pattern) == weight
