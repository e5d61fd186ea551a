"""Event data against schemas: what does not fit is told, and hostile data costs no more than its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from celeriac.platform.durable.declaration import EventSchema
from celeriac.platform.durable.schema_check import MOST_MISFITS, misfits
from celeriac.platform.event import Event


def misfits_of(schema: dict[str, Any], *given: Any) -> list[dict[str, str]]:
    """Check events with this as `x`, each against the schema of `x`."""
    bound = EventSchema(app="till", name="a", schema={"properties": {"x": schema}})
    return misfits([bound], [Event("a", {"x": one}) for one in given])


class Counted(list[Any]):
    """A list that counts how many of its items were looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            Counted.looks += 1
            yield item


class Number(float):
    """A number that counts how often one was compared."""

    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Number.comparisons += 1
        return float(self) == other

    __hash__ = float.__hash__


def test_no_more_places_are_looked_for_than_are_shown() -> None:
    found = misfits_of({"items": {"type": "string"}}, Counted(range(5_000)), *[[1]] * 5_000)
    assert [one["pointer"] for one in found] == [f"/0/data/x/{index}" for index in range(MOST_MISFITS)]
    assert Counted.looks <= MOST_MISFITS


def test_items_that_must_differ_are_not_compared_each_with_each() -> None:
    """Those that can be sorted are compared with their neighbours; a text among numbers prevents that."""
    assert misfits_of({"uniqueItems": True}, ["a", *map(Number, range(500))]) == []
    assert Number.comparisons <= 500


@pytest.mark.parametrize("items", [[1, 1.0], ["a", 1, "a"], [{"a": 1, "b": []}, {"b": [], "a": 1}], [None, 0, None]])
def test_equal_items_do_not_fit(items: list[Any]) -> None:
    (found,) = misfits_of({"uniqueItems": True}, items)
    assert found == {"pointer": "/0/data/x", "detail": "has items that are equal"}


@pytest.mark.parametrize("items", [[], [1, True, "1"], [0, False, None, ""], [[1], [2]], [[], {}], "aa", {"a": 1}])
def test_items_that_differ_fit(items: Any) -> None:
    assert misfits_of({"uniqueItems": True}, items) == []
    assert misfits_of({"uniqueItems": False}, [1, 1]) == []


@pytest.mark.parametrize("pattern", ["(", "(" * 100_000 + ")" * 100_000, "a{99999999999999}"])
def test_a_text_that_is_no_pattern_does_not_fit(pattern: str) -> None:
    """Whatever makes the reader of patterns give up."""
    (found,) = misfits_of({"format": "regex"}, pattern)
    assert found["pointer"] == "/0/data/x"
