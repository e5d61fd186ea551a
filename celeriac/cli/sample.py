"""Samples: an event that fits what an app declares, for the first request that somebody sends. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celeriac.platform.event import RESERVED

if TYPE_CHECKING:
    from celeriac.platform.app import App

_PLAIN: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "object": {}, "null": None}
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "somebody@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
}


def sample_event(app: App) -> dict[str, Any] | None:
    """Return an event that starts the app's first function; None where it has none of its own."""
    for function in app.functions.values():
        names = [trigger.event for trigger in function.triggers if not trigger.event.startswith(RESERVED)]
        if function.options.is_internal or not names:
            continue
        name = names[0].replace("*", "sample")
        model = app.events.get(name)
        schema = model.model_json_schema() if model is not None else function.signature.schema()
        return {"name": name, "data": sample_of(schema)}
    return None


def sample_of(schema: Mapping[str, Any], name: str = "", root: Mapping[str, Any] | None = None) -> Any:
    """Return a value that fits the JSON schema: its own example or default if it has one, else the plainest."""
    root = schema if root is None else root
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    if "$ref" in schema:
        return sample_of(root["$defs"][schema["$ref"].rpartition("/")[2]], name, root)
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return sample_of(schema[choice][0], name, root)
    properties = schema.get("properties")
    if properties is not None:
        wanted = schema.get("required", [])
        return {key: sample_of(part, key, root) for key, part in properties.items() if key in wanted}
    kind = schema.get("type", "string")
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), name or "text")
    if kind == "array":
        return [sample_of(schema.get("items", {}), name, root) for _ in range(schema.get("minItems", 0))]
    return max(_PLAIN[kind], schema["minimum"]) if "minimum" in schema else _PLAIN.get(kind)
