"""Arguments: whether what a model gives fits the schema of a server's tool. Pure.

The schema comes from a stranger. So nothing that it refers to is fetched, and its regular expressions are left to the
server: one of them can keep a process busy for ever.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry

#: keywords whose value maps free names to schemas
_MAPS = ("properties", "$defs", "definitions", "dependentSchemas")
#: keywords that hold data, which may look like a schema
_DATA = ("const", "enum", "default", "examples")


def misfit(schema: dict[str, Any], arguments: dict[str, Any]) -> str | None:
    """Return what does not fit in one line, or None; the values are not repeated."""
    kind: type[Validator] = validator_for(schema, default=Draft202012Validator)
    nothing: Registry[Any] = Registry()
    try:
        error = best_match(kind(_without_patterns(schema), registry=nothing).iter_errors(arguments))
    except Exception as broken:  # noqa: BLE001  # whatever a stranger's schema makes of the library
        return f"the server's schema of this tool cannot be read ({type(broken).__name__})"
    return None if error is None else _told(error)


def _told(error: ValidationError) -> str:
    place = ".".join(map(str, error.absolute_path)) or "arguments"
    wanted: Any = error.validator_value
    given: Any = error.instance
    match error.validator:
        case "required":
            missing = [name for name in wanted if name not in given]
            return f"{place}: {', '.join(map(repr, missing))} is missing"
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            return f"{place}: unknown names {sorted(set(given) - set(known))}"
        case _:
            return f"{place}: does not fit {error.validator!r}: {str(wanted)[:200]}"


def _without_patterns(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_patterns(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = {"pattern", "patternProperties", "$schema"}
    if "patternProperties" in schema:
        left_out |= {"additionalProperties", "unevaluatedProperties"}
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, dict):
            kept[key] = {name: _without_patterns(one) for name, one in value.items()}
        elif key not in left_out:
            kept[key] = value if key in _DATA else _without_patterns(value)
    return kept
