"""The parameters of a tool: what a model must give, as its schema, and how the function is called with it.

Two kinds: those of a function's signature, each by its name, and one type that the function takes as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic import ConfigDict, PydanticUserError, TypeAdapter
from typing_extensions import TypedDict

from celeriac.errors import ConfigError
from celeriac.platform.models.strict_schema import without_nulls
from celeriac.platform.signature import Signature

#: what holds a value that is no object; providers want an object at the top
WRAP = "value"


class Parameters(Protocol):
    """What a model must give. An input is what it gave after validation, as hooks and predicates see it."""

    #: the JSON schema of an object
    schema: dict[str, Any]
    takes_context: bool

    def check(self, data: Any) -> Any:
        """Return the input that the data make; raise Pydantic's `ValidationError`."""
        ...

    def arguments(self, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what the function is called with."""
        ...


def read(parameters: Parameters, data: Mapping[str, Any]) -> Any:
    """Return the input that a call's data make; raise Pydantic's `ValidationError`.

    A null for what cannot be null and may be left out stands for what is left out: strict modes leave nothing out.
    """
    return parameters.check(without_nulls(parameters.schema, data))


class Named:
    """The parameters of a function, by their names; the input is a dict of them."""

    def __init__(self, signature: Signature) -> None:
        """Read the schema once."""
        self._signature = signature
        self.takes_context = signature.takes_context
        self.schema = signature.schema()

    def check(self, data: Any) -> Any:
        """Return the keyword arguments."""
        return self._signature.validate(data)

    def arguments(self, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Call with keywords."""
        return (), given


class Whole:
    """One type that the function takes as a whole; the input is a value of it.

    What is no object is asked for inside one, and taken out of it again.
    """

    def __init__(self, fn: Callable[..., Any], kind: Any, *, what: str) -> None:
        """Raise `ConfigError` for a type without a schema, and a function that does not take one value."""
        signature = Signature(fn, what=what)
        if len(signature.names) != 1:
            raise ConfigError(f"{what} with parameters= must take the input as its one parameter beside ctx")
        self.takes_context = signature.takes_context
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
            schema = _flat(self._adapter.json_schema())
            self._is_wrapped = schema.get("type") != "object"
            if self._is_wrapped:
                self._adapter = _wrapped(kind)
                schema = self._adapter.json_schema()
        except (PydanticUserError, TypeError) as error:
            raise ConfigError(f"{what}: parameters={kind!r} have no JSON schema: {error}") from error
        schema.pop("title", None)
        schema.pop("description", None)  # the docstring of the type; the tool has its own
        schema.setdefault("properties", {})
        self.schema = schema

    def check(self, data: Any) -> Any:
        """Return a value of the type."""
        if self._is_wrapped and not isinstance(data, Mapping):
            data = {WRAP: data}  # what a hook returns
        value = self._adapter.validate_python(data)
        return value[WRAP] if self._is_wrapped else value

    def arguments(self, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Call with the value."""
        return (given,), {}


def _wrapped(kind: Any) -> TypeAdapter[Any]:
    make: Any = TypedDict  # mypy knows only literal TypedDicts
    shape = make("parameters", {WRAP: kind})
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(shape)


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with its top in place, where that is a reference, as types that hold themselves have it."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    definitions = schema.get("$defs", {})
    return {**definitions.get(reference.rpartition("/")[2], {}), "$defs": definitions}
