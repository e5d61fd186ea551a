"""What Anthropic's schema mode accepts of a JSON schema: closed objects, no recursion, few constraints.

Called by the form of its messages. A schema that does not fit is asked for by a tool, whose schema may be any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: one of these says what a value is
_TYPED = ("type", "$ref", "anyOf", "oneOf", "allOf", "const", "enum")


def fits_schema_mode(schema: Mapping[str, Any]) -> bool:
    """Whether every object of the schema names all its properties, every value has a type, and nothing recurs."""
    definitions = schema.get("$defs", {})
    parts = [schema, *definitions.values()]
    return all(map(_is_closed, parts)) and not any(_reaches(name, name, definitions, set()) for name in definitions)


def as_schema_mode(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema as the mode takes it; constraints that it does not know become words of the description."""
    from anthropic import transform_schema

    return transform_schema(dict(schema))


def _is_closed(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or not any(word in schema for word in _TYPED):
        return False
    if schema.get("type") == "object" and (not schema.get("properties") or schema.get("additionalProperties")):
        return False
    if schema.get("type") == "array" and "prefixItems" in schema:
        return False
    return all(map(_is_closed, _inside(schema)))


def _inside(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from schema.get("properties", {}).values()
    for word in ("anyOf", "oneOf", "allOf"):
        yield from schema.get(word, ())
    if "items" in schema:
        yield schema["items"]


def _reaches(start: str, goal: str, definitions: Mapping[str, Any], seen: set[str]) -> bool:
    """Whether a definition refers, through others too, to the goal."""
    for name in _references(definitions.get(start, {})):
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            if _reaches(name, goal, definitions, seen):
                return True
    return False


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield str(schema["$ref"]).rpartition("/")[2]
        for inner in _inside(schema):
            yield from _references(inner)
