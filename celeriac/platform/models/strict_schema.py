"""What strict modes accept of a JSON schema, and how what they send is read back.

A strict mode holds a model to a schema of closed objects whose properties are all required. What may be left out is
sent as nullable here, and a null that the schema itself does not know is taken as left out when the call comes back.
Called by the forms of requests, and by tools.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from celeriac.errors import ConfigError

Schema = dict[str, Any]

#: what strict modes know of a value, beside what it is made of
_KEPT = (
    *("type", "description", "enum", "const", "$ref", "pattern", "format"),
    *("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
)

#: how many objects and lists may stand inside one another
_DEEPEST = 10

#: what looks around in a pattern, which strict modes refuse
_LOOKS_AROUND = re.compile(r"\(\?<?[=!]")

_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")

#: constraints that they do not know; a model can read them all the same
_TOLD = ("minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties")

#: what changes which values fit, so that it cannot be left away
_UNFIT = (
    *("allOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "prefixItems", "contains"),
    *("dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems"),
)


class NotStrict(ConfigError):
    """A schema that no strict mode takes; the text says where and why."""


def as_strict(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of an object as strict modes take it; raise `NotStrict` where they cannot.

    A strict schema comes back as it is, but for words that say nothing to a model.
    """
    definitions = schema.get("$defs", {})
    top = _resolved(schema, definitions)
    if top.get("type") != "object":
        raise NotStrict("the parameters are no object")
    strict = _Strict(definitions)
    made = strict.of({key: value for key, value in top.items() if key != "$defs"}, "the parameters")
    made.setdefault("properties", {})
    inner = {name: strict.of(one, name) for name, one in definitions.items()}
    if _is_deeper(made, _DEEPEST):
        raise NotStrict(f"the parameters are nested more than {_DEEPEST} levels deep")
    return made | ({"$defs": inner} if inner else {})


def without_nulls(schema: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data without nulls for what may be left out and cannot be null: they stand for what is left out."""
    cleaned: dict[str, Any] = _cleaned(schema, data, schema.get("$defs", {}))
    return cleaned


class _Strict:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def of(self, schema: Mapping[str, Any], place: str, above: tuple[str, ...] = ()) -> Schema:
        """Return one value's schema; `above` are the definitions that were written out around it."""
        if reference := schema.get("$ref"):
            besides = {key: value for key, value in schema.items() if key not in ("$ref", "default", "title")}
            if not besides or reference in above:
                return {"$ref": reference}
            # A reference may have nothing beside it, so that what it refers to is written out.
            whole = {**_resolved({"$ref": reference}, self._definitions), **besides}
            return self.of(whole, place, (*above, reference))
        if unfit := next((word for word in _UNFIT if word in schema), None):
            raise NotStrict(f"{place} has {unfit!r}")
        types = schema.get("type")
        if types is not None and not isinstance(types, str):
            besides = {key: value for key, value in schema.items() if key not in ("type", "description")}
            described = {"description": schema["description"]} if "description" in schema else {}
            schema = {
                "anyOf": [{"type": one} if one == "null" else {**besides, "type": one} for one in types],
                **described,
            }
        made = {key: schema[key] for key in _KEPT if key in schema}
        if made.get("format") not in (None, *_FORMATS):
            del made["format"]
        if _LOOKS_AROUND.search(made.get("pattern", "")):
            del made["pattern"]
        if branches := schema.get("anyOf", schema.get("oneOf")):
            made["anyOf"] = [self.of(one, place, above) for one in branches]
        elif "type" not in made and "enum" not in made and "const" not in made:
            raise NotStrict(f"{place} may be anything")
        if made.get("type") == "object":
            made |= self._object(schema, place, above)
        if made.get("type") == "array":
            made["items"] = self.of(schema.get("items", {}), f"an item of {place}", above)
        return _with_words(made, schema)

    def _object(self, schema: Mapping[str, Any], place: str, above: tuple[str, ...]) -> Schema:
        if schema.get("additionalProperties", "properties" not in schema) not in (None, False):
            raise NotStrict(f"{place} may have properties of any name")
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        made = {name: self.of(one, repr(name), above) for name, one in properties.items()}
        optional = {name: one for name, one in made.items() if name not in required}
        made |= {name: _nullable(one, self._definitions) for name, one in optional.items()}
        closed: Schema = {"additionalProperties": False}
        return {"properties": made, "required": list(made), **closed} if made else {"properties": {}, **closed}


def _is_deeper(schema: Mapping[str, Any], most: int) -> bool:
    """Whether objects and lists stand in one another more than `most` deep; references count as one."""
    if schema.get("type") in ("object", "array"):
        most -= 1
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    if "items" in schema:
        inner.append(schema["items"])
    return most < 0 or any(_is_deeper(one, most) for one in inner)


def _with_words(made: Schema, schema: Mapping[str, Any]) -> Schema:
    """Put constraints that a strict mode does not know into the description."""
    words = ", ".join(f"{word}: {schema[word]}" for word in _TOLD if word in schema)
    if not words:
        return made
    return made | {"description": f"{made['description']} ({words})" if made.get("description") else words}


def _nullable(schema: Schema, definitions: Mapping[str, Any]) -> Schema:
    if _takes_null(schema, definitions):
        return schema
    described = {"description": schema["description"]} if "description" in schema else {}
    inner = {key: value for key, value in schema.items() if key != "description"}
    branches = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
    return {"anyOf": [*branches, {"type": "null"}], **described}


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference refers to."""
    seen = 0
    while "$ref" in schema and seen <= len(definitions):
        schema, seen = definitions.get(schema["$ref"].rpartition("/")[2], {}), seen + 1
    return schema


def _takes_null(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    schema = _resolved(schema, definitions)
    branches = schema.get("anyOf", schema.get("oneOf"))
    if branches is not None:
        return any(_takes_null(one, definitions) for one in branches)
    if "const" in schema:
        return schema["const"] is None
    if "enum" in schema:
        return None in schema["enum"]
    types = schema.get("type")
    return types is None or types == "null" or (not isinstance(types, str) and "null" in types)


def _cleaned(schema: Any, value: Any, definitions: Mapping[str, Any]) -> Any:
    if not isinstance(schema, Mapping):
        return value
    schema = _resolved(schema, definitions)
    if isinstance(value, Mapping):
        shape = _branch(schema, value, definitions)
        properties, required = shape.get("properties", {}), shape.get("required", ())
        others = shape.get("additionalProperties")
        return {
            name: _cleaned(properties.get(name, others), one, definitions)
            for name, one in value.items()
            if one is not None or name in required or _takes_null(properties.get(name, {}), definitions)
        }
    if isinstance(value, list):
        firsts, rest = schema.get("prefixItems", ()), _items(schema, definitions)
        shapes = [*firsts, *[rest] * (len(value) - len(firsts))]
        return [_cleaned(shape, one, definitions) for shape, one in zip(shapes, value, strict=False)]
    return value


def _branches(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what the value may be, unions in unions taken apart."""
    schema = _resolved(schema, definitions)
    inner = schema.get("anyOf", schema.get("oneOf"))
    if not inner:
        return [schema]
    return [one for branch in inner for one in _branches(branch, definitions)]


def _branch(schema: Mapping[str, Any], value: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object of a union that a value with these names is meant to be."""
    objects = [one for one in _branches(schema, definitions) if one.get("type") == "object"]
    if len(objects) == 1:
        return objects[0]
    fitting = [one for one in objects if _has_constants(one.get("properties", {}), value)]
    exact = (one for one in fitting if one.get("properties", {}).keys() == value.keys())
    wider = (one for one in fitting if one.get("properties", {}).keys() >= value.keys())
    return next(exact, None) or next(wider, None) or {}


def _has_constants(properties: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return all("const" not in one or value.get(name) in (one["const"], None) for name, one in properties.items())


def _items(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Return the schema of a list's items; of a union's first list."""
    lists = (one for one in _branches(schema, definitions) if one.get("type") == "array")
    return next(lists, {}).get("items", {})
