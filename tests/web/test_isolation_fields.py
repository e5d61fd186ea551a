"""The isolation matrix of what stands in queries and bodies: each field that can name what is a tenant's.

Made from /openapi.json as `test_isolation_api.py` is: a new field fails a test until `FIELDS` or `PLAIN` of
tests/web/isolation_fields.py says what it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import pytest
from isolation_fields import BODIES, FIELDS, PLAIN, cursor_of
from isolation_world import CANARY, Side, World
from test_isolation_api import GUARDED, Operation, described
from werkzeug.test import TestResponse

#: what differs between two answers that say the same: ids that were just made, and times
_MADE = re.compile(r"\b[a-z]{3}_[0-9A-Z]{26}\b|\d{4}-\d\d-\d\dT[\d:.]+Z")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a query, or one at any depth of a body."""

    operation: Operation
    #: the way to it; of a query, its name alone
    path: tuple[str, ...]
    is_query: bool

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path[-1]

    def __str__(self) -> str:
        return f"{self.operation.name} {'?' if self.is_query else ''}{'.'.join(self.path)}"

    def value(self, world: World, side: Side | None) -> str:
        """Return what it names of a side, or of nobody."""
        if self.name == "cursor":
            return "nobodys" if side is None else cursor_of(world, side, self.operation.path)
        return FIELDS[self.name].nobodys if side is None else FIELDS[self.name].made(side)

    def ask(self, world: World, value: str, key: str) -> TestResponse:
        """Ask the operation with this value in the field, and all else the tenant's own."""
        operation, ids = self.operation, world.ids(self.operation.parts, world.own)
        if self.is_query:
            return operation.ask(world, ids, key, query={self.name: value})
        body = deepcopy(BODIES.get(operation.name, operation.body))
        place = body
        for part in self.path[:-1]:
            place = place.setdefault(part, {})
        place[self.name] = value
        return replace(operation, body=body).ask(world, ids, key)


def _fields() -> Iterator[Field]:
    paths, schemas = described()["paths"], described()["components"]["schemas"]
    for operation in GUARDED:
        found = paths[operation.path][operation.method.lower()]
        for one in found.get("parameters", []):
            if one["in"] == "query":
                yield Field(operation=operation, path=(one["name"],), is_query=True)
        if "requestBody" in found:
            content = found["requestBody"]["content"]["application/json"]["schema"]
            for path in dict.fromkeys(_paths(content, schemas)):
                yield Field(operation=operation, path=path, is_query=False)


def _paths(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the way to each field, through references, alternatives and lists alike."""
    if "$ref" in schema:
        yield from _paths(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for words in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(words, ()):
            yield from _paths(one, schemas)
    if "items" in schema:
        yield from _paths(schema["items"], schemas)
    for name, one in schema.get("properties", {}).items():
        yield (name,)
        yield from ((name, *rest) for rest in _paths(one, schemas))


ALL = list(_fields())
NAMING = [field for field in ALL if field.name in FIELDS or field.name == "cursor"]

each_naming = pytest.mark.parametrize("field", NAMING, ids=str)


def shape(answer: TestResponse, value: str) -> str:
    """Return an answer without what is its own: the value, the request's id, and what was just made."""
    text = re.sub(r"req_\w+", "req", answer.text).replace(value, "value")
    return f"{answer.status_code} {_MADE.sub('made', text)}"


def test_every_field_says_whether_it_names_something() -> None:
    """Else the matrix would not know whose things to try."""
    known = {*FIELDS, *PLAIN, "cursor"}
    unknown = sorted({str(field) for field in ALL if field.name not in known})
    assert not unknown, f"Add what they name to FIELDS, or to PLAIN, in tests/web/isolation_fields.py: {unknown}"
    assert known - {field.name for field in ALL} == set()


def test_the_matrix_has_the_fields_that_are_known_to_name_something() -> None:
    """So that it is not empty, whatever the description looks like."""
    found = {str(field) for field in NAMING}
    assert {"GET /v1/approvals ?run_id", "POST /v1/signals signal", "POST /v1/bulk filter.event_name"} <= found
    assert {"POST /v1/events id", "GET /v1/audit ?subject", "GET /v1/runs ?cursor"} <= found


@each_naming
def test_a_field_that_names_what_is_another_tenants_names_nothing(world: World, field: Field) -> None:
    """It is answered as what nobody has, tells nothing, and nothing of the other's is changed."""
    others, nobodys = field.value(world, world.other), field.value(world, None)
    before, key = world.rows_of_other(), world.keys[field.operation.key_kind]
    there, nowhere = field.ask(world, others, key), field.ask(world, nobodys, key)
    assert there.status_code in (200, 202, 404) or field.name == "cursor", there.text
    assert shape(there, others) == shape(nowhere, nobodys)
    assert CANARY.lower() not in there.text.replace(others, "").lower()
    assert world.rows_of_other() == before


@pytest.mark.parametrize("field", [one for one in NAMING if one.is_query], ids=str)
def test_a_field_of_a_query_shows_its_owner_what_it_names(world: World, field: Field) -> None:
    """Which shows that the refusals above are about whose it is."""
    value = field.value(world, world.other)
    answer = field.ask(world, value, world.other.key()[1])
    assert answer.status_code == 200
    assert CANARY in answer.text.replace(value, "")
