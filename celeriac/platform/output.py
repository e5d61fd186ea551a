"""The output: the type that an agent's answer must have, as what models are asked for and as Python."""

from __future__ import annotations

from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from celeriac.errors import ConfigError
from celeriac.platform.codec import encode, plain
from celeriac.platform.models.model import OutputSpec
from celeriac.platform.signature import problems

#: what holds a value that is no object; providers want an object at the top
_WRAP = "value"


class OutputMisfit(ValueError):
    """A reply that is not of the type; its text says what is wrong with it."""

    @property
    def told(self) -> str:
        """What the model is told, so that it can mend its reply."""
        return f"{self}. Answer again, with nothing but the JSON."


class OutputShape:
    """A type that Pydantic can validate, asked for as an object in any case."""

    def __init__(self, type: Any, *, what: str) -> None:
        """Raise `ConfigError` for a type without a JSON schema."""
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(type)
            schema = self._adapter.json_schema()
        except (PydanticUserError, TypeError) as error:
            raise ConfigError(f"{what}: output={type!r} has no JSON schema: {error}") from error
        self._is_wrapped = not _is_object(schema)
        if self._is_wrapped:
            definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
            schema = {"type": "object", "properties": {_WRAP: schema}, "required": [_WRAP], **definitions}
        self.spec = OutputSpec(schema=schema)

    def read(self, text: str) -> Any:
        """Return the value that a reply's text holds; raise `OutputMisfit` with what the model has to mend."""
        try:
            if not self._is_wrapped:
                return self._adapter.validate_json(text)
            held = TypeAdapter(dict[str, Any]).validate_json(text)
            if _WRAP not in held:
                raise OutputMisfit(f"The answer must be a JSON object with {_WRAP!r}")
            return self._adapter.validate_json(encode(held[_WRAP]))
        except ValidationError as error:
            raise OutputMisfit(f"The answer does not fit the schema: {problems(error)}") from error

    def load(self, value: Any) -> Any:
        """Return what was remembered as the type."""
        return None if value is None else self._adapter.validate_python(value)

    def dump(self, value: Any) -> Any:
        """Return the value as plain JSON."""
        return plain(value)


def _is_object(schema: dict[str, Any]) -> bool:
    if "$ref" in schema:
        schema = schema.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
    return schema.get("type") == "object"
