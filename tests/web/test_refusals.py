"""Refusals of requests that fit no model: short ones, whatever came, and the same for all ways of asking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from web_stage import Bank

import celeriac.web.app  # noqa: F401  # all requests are known by it
from celeriac.web.api.key_models import KeyIn
from celeriac.web.api.models import EventsIn, Request


def all_below(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Return the models that are made from this one."""
    for below in kind.__subclasses__():
        yield below
        yield from all_below(below)


def errors_of(model: type[BaseModel], body: Any) -> list[tuple[Any, ...]]:
    """Return the places at which a body does not fit."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    return [error["loc"] for error in refused.value.errors()]


@pytest.mark.parametrize("model", [*all_below(Request)])
def test_of_unknown_fields_one_is_named(model: type[BaseModel]) -> None:
    """An error of each would take a gigabyte for a body of eight megabytes."""
    assert errors_of(model, {f"unknown{number}": 0 for number in range(1_000)}) == [("unknown0",)]


def test_each_event_of_a_list_names_its_first_unknown_field() -> None:
    wrong = {"name": "a", "b": 1, "c": 1}
    assert errors_of(EventsIn, [wrong, {"name": "a"}, wrong]) == [("many", 0, "b"), ("many", 2, "b")]


def test_of_scopes_that_are_none_one_is_named() -> None:
    assert errors_of(KeyIn, {"kind": "api", "scopes": [0] * 1_000}) == [("scopes", 0)]


def test_an_unknown_field_is_told_by_its_place(bank: Bank) -> None:
    refused = bank.sender.post("/v1/events", [{"name": "a"}, {"name": "a", "tenant/id": 1, "x": 1}])
    assert refused.json["errors"] == [{"pointer": "/1/tenant~1id", "detail": "Extra inputs are not permitted"}]
    filtered = bank.api.post("/v1/bulk", {"kind": "cancel", "filter": {"x": 1, "y": 1}})
    assert [error["pointer"] for error in filtered.json["errors"]] == ["/filter/x"]


def test_of_five_thousand_wrong_events_a_hundred_places_are_told(bank: Bank) -> None:
    refused = bank.sender.post("/v1/events", [{}] * 5_000)
    assert (refused.status, refused.json["code"], len(refused.json["errors"])) == (422, "missing_field", 100)


def test_a_head_is_refused_as_a_get_is(bank: Bank) -> None:
    assert [bank.api.send(method, "/v1/runs?limit=0").status for method in ("GET", "HEAD")] == [400, 400]


@pytest.mark.parametrize("length", [11, 300])
def test_a_key_that_there_is_none_of_is_not_found_whatever_its_length(bank: Bank, length: int) -> None:
    assert bank.api.send("DELETE", "/v1/keys/" + "a" * length).status == 404
    assert bank.api.post("/v1/keys/" + "a" * length + "/rotate", {}).status == 404
