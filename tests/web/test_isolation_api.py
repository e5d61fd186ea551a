"""The isolation matrix of the API: every operation of /openapi.json with every kind of key and everybody's ids.

Made from the description, so that a new route is in it by itself. What it needs to know of a new one it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from isolation_world import BODIES, CANARY, PARAMETERS, World, is_shared
from web_stage import SECRET_KEY
from werkzeug.test import TestResponse

from celeriac.settings import Settings
from celeriac.web.app import create_app
from celeriac.web.auth import need_of
from celeriac.wiring import build

#: what everybody may ask, and nothing else
OPEN = {"GET /healthz", "GET /readyz"}

ADD_IT = "add an example of it to PARAMETERS in tests/web/isolation_world.py"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation as it is described."""

    method: str
    path: str
    is_guarded: bool
    body: Any

    @property
    def name(self) -> str:
        """What the tables know it by."""
        return f"{self.method} {self.path}"

    @property
    def parts(self) -> list[str]:
        """The parts of its path, without a key."""
        return [name for name in re.findall(r"{(\w+)}", self.path) if name != "event_key"]

    @property
    def key_kind(self) -> str:
        """The key with which it works."""
        return "event" if "{event_key}" in self.path else "good"

    def ask(
        self, world: World, ids: dict[str, str], key: str | None, *, query: Mapping[str, str] | None = None
    ) -> TestResponse:
        """Ask for it."""
        path, headers = self.path.format(**ids, event_key=key or "none"), {}
        if key is not None and "{event_key}" not in self.path:
            headers["Authorization"] = f"Bearer {key}"
        client = world.app.test_client()
        return client.open(path, method=self.method, json=self.body, headers=headers, query_string=query)


@cache
def described() -> Any:
    """Return the description of the API."""
    settings = Settings(database_url="sqlite:///:nowhere", redis_url="redis://127.0.0.1:1/0", secret_key=SECRET_KEY)
    return create_app(build(settings)).test_client().get("/openapi.json").json


@cache
def operations() -> list[Operation]:
    """Read all operations from the description."""
    return [
        Operation(
            method=method.upper(),
            path=path,
            is_guarded=bool(operation.get("security")) or "{event_key}" in path,
            body=_body(f"{method.upper()} {path}", operation),
        )
        for path, found in described()["paths"].items()
        for method, operation in found.items()
    ]


def _body(name: str, operation: dict[str, Any]) -> Any:
    if name in BODIES or "requestBody" not in operation:
        return BODIES.get(name)
    content = operation["requestBody"]["content"]["application/json"]["schema"]
    return _least(content, described()["components"]["schemas"])


def _least(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Return the least value that fits the schema."""
    if "$ref" in schema:
        return _least(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        return {name: _least(schema["properties"][name], schemas) for name in schema.get("required", [])}
    return {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "array": []}.get(schema.get("type", ""))


GUARDED = [one for one in operations() if one.is_guarded]
#: what makes something of one's own under a name that one chooses: there is nothing that could be somebody else's
NAMING = {"PUT /v1/secrets/{name}"}
WITH_IDS = [one for one in GUARDED if one.name not in NAMING and not all(is_shared(name) for name in one.parts)]

each_guarded = pytest.mark.parametrize("operation", GUARDED, ids=lambda one: one.name)
each_with_ids = pytest.mark.parametrize("operation", WITH_IDS, ids=lambda one: one.name)


def shape(answer: TestResponse, ids: dict[str, str]) -> str:
    """Return a body without what is its own: the ids that were asked for and the id of the request."""
    text = re.sub(r"req_\w+", "req", answer.text)
    for name, value in ids.items():
        text = text.replace(value, name)
    return f"{answer.status_code} {text}"


def test_every_operation_is_guarded_or_meant_to_be_open() -> None:
    """A route of the API without `needs` is none, and open ones are few."""
    assert {one.name for one in operations() if not one.is_guarded} == OPEN
    assert len(GUARDED) > 15


def test_every_part_of_a_path_has_an_example() -> None:
    """Else the matrix would not know whose ids to try."""
    unknown = {name: one.name for one in operations() for name in one.parts if name not in PARAMETERS}
    assert not unknown, f"The matrix knows no example for {unknown}: {ADD_IT}"


@each_guarded
def test_keys_that_are_none_any_more_open_nothing(world: World, operation: Operation) -> None:
    """All are answered alike, so that nobody learns which were good once."""
    ids = world.ids(operation.parts, world.own)
    answers = {
        kind: operation.ask(world, ids, None if kind == "none" else world.keys.get(kind, "cel_live_none"))
        for kind in ("none", "garbage", "revoked", "expired")
    }
    assert {answer.status_code for answer in answers.values()} == {401}
    assert len({shape(answers[kind], ids) for kind in ("garbage", "revoked", "expired")}) == 1


@each_guarded
def test_keys_of_another_kind_or_scope_are_refused(world: World, operation: Operation) -> None:
    """Before anything is looked up: the ids of nobody are refused alike."""
    kinds = ["signing", "keys alone" if "audit" in operation.path else "without the scope"]
    kinds += [] if operation.path.endswith("/events") or "{event_key}" in operation.path else ["event"]
    for side in (world.own, None):
        ids = world.ids(operation.parts, side)
        assert {operation.ask(world, ids, world.keys[kind]).status_code for kind in kinds} == {403}


@each_with_ids
def test_what_is_another_tenants_is_not_there(world: World, operation: Operation) -> None:
    """It is answered as what nobody has, tells nothing, and nothing of it is changed."""
    others, nobodys = world.ids(operation.parts, world.other), world.ids(operation.parts, None)
    before = world.rows_of_other()
    key = world.keys[operation.key_kind]
    there, nowhere = operation.ask(world, others, key), operation.ask(world, nobodys, key)
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert shape(there, others) == shape(nowhere, nobodys)
    assert CANARY.lower() not in there.text.lower()
    assert world.rows_of_other() == before


@each_guarded
def test_what_is_ones_own_works_and_tells_nothing_of_others(world: World, operation: Operation) -> None:
    """Which also shows that the refusals above are about whose it is."""
    before = world.rows_of_other()
    answer = operation.ask(world, world.ids(operation.parts, world.own), world.keys[operation.key_kind])
    assert answer.status_code in (200, 201, 202, 409) or operation.path in ("/v1/signals",), answer.text
    assert CANARY.lower() not in answer.text.lower()
    assert world.rows_of_other() == before


def test_every_view_has_declared_what_it_needs(world: World) -> None:
    """By `needs` or `open_to_all` of celeriac/web/auth.py."""
    undeclared = {name for name, view in world.app.view_functions.items() if need_of(view) is None} - {"static"}
    assert not undeclared, f"Declare with @needs(…) or @open_to_all what is asked for by: {sorted(undeclared)}"


def test_the_canary_would_be_seen(world: World) -> None:
    """The other tenant's own key shows it, so an answer without it means something."""
    _, key = world.other.key()
    for path in ("/v1/runs", "/v1/keys", "/v1/bulk", "/v1/approvals"):
        answer = world.app.test_client().get(path, headers={"Authorization": f"Bearer {key}"})
        assert CANARY in answer.text, path
    assert world.rows_of_other().count(CANARY) > 20
