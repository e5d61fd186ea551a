"""The description of the API: what `/openapi.json` says of every operation, told of the operations as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

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
