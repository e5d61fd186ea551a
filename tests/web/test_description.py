"""The description of the API: what `/openapi.json` says of every operation, told of the operations as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel

from celeriac.web.app import create_app
from celeriac.wiring import Installation


@pytest.fixture
def caller(installation: Installation) -> FlaskClient:
    """Somebody who calls the app without a server."""
    return create_app(installation).test_client()


def all_below(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Return the models that are made from this one."""
    for below in kind.__subclasses__():
        yield below
        yield from all_below(below)


def test_no_two_models_of_the_api_have_one_name() -> None:
    """The description knows them by their names alone, so that one would be shown in place of the other."""
    own = {model for model in all_below(BaseModel) if model.__module__.startswith("celeriac.web.api.")}
    assert len(own) > 30
    assert [name for name, count in Counter(model.__name__ for model in own).items() if count > 1] == []


def test_limits_of_functions_are_not_described_as_those_of_tenants(caller: FlaskClient) -> None:
    models = caller.get("/openapi.json").json["components"]["schemas"]  # type: ignore[index]
    assert "queued_runs" in models["LimitsOut"]["properties"]
    assert models["FunctionOut"]["properties"]["limits"] == {"$ref": "#/components/schemas/FunctionLimitsOut"}
    assert "throttle" in models["FunctionLimitsOut"]["properties"]


def operations(caller: FlaskClient) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each operation that asks for a key, with its name."""
    for path, found in caller.get("/openapi.json").json["paths"].items():  # type: ignore[index]
        for method, operation in found.items():
            if "security" in operation or "{event_key}" in path:
                yield f"{method} {path}", operation


def test_every_operation_tells_of_what_any_may_be_refused_with(caller: FlaskClient) -> None:
    """An answer that is not described is one that a client made from the description does not know."""
    lacking = {}
    for name, operation in operations(caller):
        wanted = {"400", "401", "403", "429", "500", "503"}
        wanted |= {"413", "415", "422"} if "requestBody" in operation else set()
        lacking[name] = wanted - set(operation["responses"])
    assert len(lacking) > 20
    assert {name: statuses for name, statuses in lacking.items() if statuses} == {}


def test_usage_is_described_as_csv_too(caller: FlaskClient) -> None:
    content = dict(operations(caller))["get /v1/usage"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/csv"}
    assert content["text/csv"]["schema"]["type"] == "string"
