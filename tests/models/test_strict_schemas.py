"""Strict modes: which schemas they take, and what comes back from a model that may leave nothing out."""

from __future__ import annotations

import json
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field, TypeAdapter
from recorded import FOLDER

from celeriac.platform.models.strict_schema import NotStrict, as_strict, without_nulls

#: what no strict mode of OpenAI takes, whatever its value
FORBIDDEN = {"default", "title", "oneOf", "allOf", "minLength", "maxLength", "uniqueItems", "patternProperties"}


def assert_is_strict(schema: Any) -> None:
    """Fail where OpenAI's strict mode would refuse the schema."""
    if isinstance(schema, list):
        for one in schema:
            assert_is_strict(one)
    if not isinstance(schema, dict):
        return
    assert not FORBIDDEN & schema.keys(), schema
    assert set(schema) == {"$ref"} or "$ref" not in schema
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False
        assert sorted(schema.get("required", [])) == sorted(schema["properties"])
    for word in ("properties", "$defs"):
        for one in schema.get(word, {}).values():
            assert_is_strict(one)
    for word in ("anyOf", "items"):
        assert_is_strict(schema.get(word))


class Street(BaseModel):
    name: str = Field(min_length=2, description="without the number")
    number: int = 1


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Person(BaseModel):
    street: Street = Field(description="where they live")
    pet: Cat | Dog = Field(discriminator="kind")
    friend: Person | None = None
    nick: str | None = None
    streets: list[Street] = []
    mood: Literal["good", "bad"] = "good"


def flat(kind: type[BaseModel]) -> dict[str, Any]:
    schema = TypeAdapter(kind).json_schema()
    if "$ref" in schema:
        schema = {**schema["$defs"][kind.__name__], "$defs": schema["$defs"]}
    return schema


def test_a_rich_schema_becomes_one_that_a_strict_mode_takes() -> None:
    strict = as_strict(flat(Person))
    assert_is_strict(strict)
    jsonschema.Draft202012Validator.check_schema(strict)
    assert strict["properties"]["nick"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert strict["properties"]["mood"]["anyOf"][-1] == {"type": "null"}
    assert strict["properties"]["street"]["description"] == "where they live"
    assert strict["$defs"]["Street"]["properties"]["name"]["description"] == "without the number (minLength: 2)"


def test_nulls_of_a_strict_call_are_what_the_function_would_have_filled_in() -> None:
    street = {"name": "Via Po", "number": None}
    given = {
        "street": street,
        "pet": {"kind": "cat", "lives": None},
        "friend": None,
        "nick": None,
        "streets": [street],
        "mood": None,
    }
    jsonschema.validate(given, as_strict(flat(Person)))
    read = Person.model_validate(without_nulls(flat(Person), given))
    po = Street(name="Via Po")
    assert read == Person(street=po, pet=Cat(kind="cat"), streets=[po])
    assert "nick" in read.model_fields_set  # null is a value of it


def test_a_null_that_must_be_there_is_kept_and_refused_later() -> None:
    assert without_nulls(flat(Street), {"name": None}) == {"name": None}


def test_a_strict_schema_stays_as_it_is() -> None:
    strict = as_strict(flat(Person))
    assert as_strict(strict) == strict


def test_what_was_sent_strictly_in_recordings_stays_as_it_was() -> None:
    found = [tool for tool in _tools() if tool["strict"]]
    assert len(found) > 5
    for one in found:
        assert as_strict(one["parameters"]) == one["parameters"]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "array", "items": {"type": "string"}}, "no object"),
        ({"type": "object", "properties": {"a": {}}}, "'a' may be anything"),
        ({"type": "object", "properties": {"a": {"type": "object"}}}, "'a' may have properties of any name"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "may have properties of any name"),
        ({"type": "object", "properties": {"a": {"type": "array", "prefixItems": []}}}, "'a' has 'prefixItems'"),
    ],
)
def test_what_cannot_be_strict_says_where_and_why(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(NotStrict, match=why):
        as_strict(schema)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def test_what_is_nested_too_deep_cannot_be_strict() -> None:
    assert_is_strict(as_strict(nested(10)))
    with pytest.raises(NotStrict, match="more than 10 levels deep"):
        as_strict(nested(11))


@pytest.mark.parametrize(("pattern", "is_sent"), [("^[a-z]+$", True), ("^(?!x)", False), ("(?<=x)y", False)])
def test_a_pattern_that_looks_around_is_left_to_our_own_check(pattern: str, is_sent: bool) -> None:
    strict = as_strict(
        {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}, "required": ["a"]}
    )
    assert ("pattern" in strict["properties"]["a"]) == is_sent


def test_a_type_of_several_is_taken_apart() -> None:
    strict = as_strict({"type": "object", "properties": {"a": {"type": ["object", "null"], "properties": {}}}})
    assert_is_strict(strict)
    assert [one["type"] for one in strict["properties"]["a"]["anyOf"]] == ["object", "null"]


def _tools() -> list[dict[str, Any]]:
    """Return the tools of every recorded request of OpenAI that says whether they are strict."""
    tools = []
    for path in sorted(FOLDER.glob("openai*/*.json")):
        for interaction in json.loads(path.read_text())["interactions"]:
            given = (interaction["request"]["parsed_body"] or {}).get("tools", [])
            tools += [tool.get("function", tool) for tool in given]
    return [tool for tool in tools if "strict" in tool]
