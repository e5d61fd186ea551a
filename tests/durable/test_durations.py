"""Durations as people write them, and as nobody does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from celeriac.clock import duration
from celeriac.errors import ConfigError


def test_a_duration_of_forty_characters_is_read() -> None:
    assert duration("1m" * 20) == timedelta(minutes=20)


def test_a_longer_one_is_refused_before_it_is_searched() -> None:
    """Also where it would be one: how long the search takes goes by the square of the digits."""
    with pytest.raises(ConfigError, match="more than 40 characters") as refused:
        duration("1m" * 21)
    assert len(str(refused.value)) < 200
    with pytest.raises(ConfigError, match="more than 40 characters"):
        duration("1" * 100_000)


@pytest.mark.parametrize("endless", ["99999999999999d", "9" * 39 + "w", 1e300, 10**14])
def test_a_duration_that_cannot_be_counted_is_refused(endless: str | float) -> None:
    with pytest.raises(ConfigError, match="longer than any that can be counted"):
        duration(endless)
