"""Signatures: what a function of the user takes from us, and what it takes as data.

Functions, tools, routers, hooks and dynamic prompts are read here once, at declaration. A first parameter annotated
`Context[…]` (or named `ctx`) is ours; the parameters after it are data, validated by Pydantic from their annotations
and the source of the JSON schema.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, Literal, NotRequired, ParamSpec, TypeVar, get_origin

from pydantic import ConfigDict, PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from celeriac.errors import ConfigError

#: known by its name, because the context stands above this floor
_CONTEXT = ("celeriac.platform.context", "Context")

P = ParamSpec("P")
R = TypeVar("R")


class Signature:
    """How to call a function of the user's."""

    def __init__(self, fn: Callable[..., Any], *, what: str, extra: Literal["ignore", "forbid"] = "ignore") -> None:
        """Read the signature; raise `ConfigError` for one that cannot be called with named data."""
        self.fn = fn
        self.is_async = is_async(fn)
        try:
            parameters = list(inspect.signature(fn, eval_str=True).parameters.values())
        except NameError as error:
            raise ConfigError(f"{what}: an annotation cannot be resolved: {error}; import the name it uses") from error
        self.takes_context = bool(parameters) and _is_context(parameters[0])
        self._data = parameters[1:] if self.takes_context else parameters
        for parameter in self._data:
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise ConfigError(f"{what}: parameter {parameter.name!r} must be a plain named one, without * or /")
        self._adapter = self._build(what, extra)

    def _build(self, what: str, extra: Literal["ignore", "forbid"]) -> TypeAdapter[dict[str, Any]]:
        fields: dict[str, Any] = {}
        for parameter in self._data:
            annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
            fields[parameter.name] = annotation if parameter.default is parameter.empty else NotRequired[annotation]
        make: Any = TypedDict  # mypy knows only literal TypedDicts
        shape = make(getattr(self.fn, "__name__", "parameters"), fields)
        shape.__pydantic_config__ = ConfigDict(extra=extra, populate_by_name=True)
        try:
            return TypeAdapter(shape)
        except (PydanticUndefinedAnnotation, PydanticUserError, TypeError) as error:
            raise ConfigError(f"{what}: its parameters have no JSON schema: {error}") from error

    @property
    def names(self) -> list[str]:
        """The names of the parameters that are data."""
        return [parameter.name for parameter in self._data]

    @property
    def required(self) -> list[str]:
        """The names of the parameters that the data must have."""
        return [parameter.name for parameter in self._data if parameter.default is parameter.empty]

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the data as an object."""
        schema = self._adapter.json_schema()
        schema.pop("title", None)
        schema.setdefault("properties", {})
        return schema

    def validate(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments that the data makes; raise Pydantic's `ValidationError`."""
        if not self._data:
            return {}
        return self._adapter.validate_python(dict(data))


def problems(error: ValidationError) -> str:
    """Say in one line what did not fit, without repeating the values."""
    places = (f"{'.'.join(map(str, place['loc'])) or 'data'}: {place['msg']}" for place in error.errors()[:5])
    return "; ".join(places)


def takes_context(fn: Callable[..., Any]) -> bool:
    """Whether the first parameter is ours; for functions that take no data."""
    parameters = list(inspect.signature(fn, eval_str=True).parameters.values())
    return bool(parameters) and (_is_context(parameters[0]) or parameters[0].default is inspect.Parameter.empty)


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, also behind partials and callable objects."""
    if type(fn) is FunctionType:  # asked for at every step, and what follows is slow
        return bool(fn.__code__.co_flags & inspect.CO_COROUTINE) or inspect.iscoroutinefunction(fn)
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


def _is_context(parameter: inspect.Parameter) -> bool:
    annotation = get_origin(parameter.annotation) or parameter.annotation
    place = getattr(annotation, "__module__", None), getattr(annotation, "__name__", None)
    return place == _CONTEXT or parameter.name == "ctx"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def checks_options(fn: Callable[P, R]) -> Callable[P, R]:
    """Make an unknown keyword option a `ConfigError` that suggests the right name."""
    known = [p.name for p in inspect.signature(fn).parameters.values() if p.name != "self"]

    @functools.wraps(fn)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                owner = fn.__qualname__.removesuffix(".__init__")
                raise ConfigError(f"Unknown option {name!r} for {owner}{did_you_mean(name, known)}")
        return fn(*args, **kwargs)

    return checked
