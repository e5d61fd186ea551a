"""The codec: values of steps, events and state as JSON text, and back through the types they were declared with.

Everything that a run remembers passes here before it is handed on, so that one bad character or one huge value fails
its own step and not a commit that it shares with others. A value read back equals the one that live code sees,
because live code is given the decoded one too.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from celeriac.errors import LimitError

_return_types: WeakKeyDictionary[Callable[..., Any], Any] = WeakKeyDictionary()


#: how deep lists and objects may lie in each other: what matches, compares and shows values goes down level by level
MAX_DEPTH = 250


class Uncodable(ValueError):
    """A value that JSON text in a database cannot hold; the message says where the trouble lies."""


def encode(value: Any) -> str:
    """Return the JSON text of a value: JSON types, Pydantic models, dataclasses, dates, sets.

    Raises `Uncodable` for what has no JSON form (NaN and infinity among it), for NUL or lone surrogates, which
    Postgres does not store, and for more than `MAX_DEPTH` levels.
    """
    try:
        text = _dump(value)
    except (TypeError, ValueError):
        try:
            text = _dump(to_jsonable_python(value))
        except (TypeError, ValueError, PydanticSerializationError, RecursionError) as error:
            raise Uncodable(f"has no JSON form: {error}") from error
    except RecursionError as error:
        raise Uncodable("is nested too deeply") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(text):
        raise Uncodable("is nested too deeply")
    if _has_nul(text):
        raise Uncodable("holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Uncodable("holds a lone surrogate, half of a character") from error
    return text


def encode_within(value: Any, most: int, what: str) -> str:
    """Encode a value that may have at most `most` bytes; raise `LimitError` that names `what`."""
    text = encode(value)
    if len(text) > most or len(text.encode()) > most:
        raise LimitError(f"{what} has {len(text.encode())} bytes of JSON; the limit is {most}")
    return text


def utf8_size(text: str | None) -> int:
    """Return how many bytes the text takes as UTF-8."""
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def canonical(value: Any) -> str:
    """Return the JSON text of plain JSON, the same for all values that are equal: 1.0 is 1, and true is not."""
    return json.dumps(_alike(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def storable(value: Any) -> Any:
    """Return plain JSON with a sign in place of each character that a database cannot store.

    For what comes from outside and is worth more than its odd characters: a provider's reply, an error's message.
    """
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(one) for key, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list | tuple) else value


def decoder(returns: Any) -> Callable[[Any], Any]:
    """Return what turns plain JSON into the declared type; plain JSON stays where none is declared."""
    if returns is inspect.Signature.empty or returns is Any or returns is None:
        return _as_it_is
    try:
        adapter = _adapter(returns) if _is_hashable(returns) else TypeAdapter(returns)
    except PydanticSchemaGenerationError:
        return _as_it_is
    except PydanticUserError as error:
        if error.code != "typed-dict-version":  # before Python 3.12 Pydantic cannot read the one of `typing`
            raise
        return _as_it_is
    return adapter.validate_python


def return_type(fn: Callable[..., Any]) -> Any:
    """Return the annotation of what `fn` returns, resolved; empty where it has none or cannot be resolved."""
    target = inspect.unwrap(fn)
    while hasattr(target, "func"):
        target = target.func
    if not isinstance(target, FunctionType | MethodType):
        return _evaluated(target)
    annotation = target.__annotations__.get("return", inspect.Signature.empty)
    if not isinstance(annotation, str):
        return annotation
    plain = target.__func__ if isinstance(target, MethodType) else target
    if plain not in _return_types:  # asked for at every step, and slow to find out
        _return_types[plain] = _evaluated(plain)
    return _return_types[plain]


def _evaluated(target: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(target, eval_str=True).return_annotation
    except (TypeError, ValueError, NameError, AttributeError):
        return inspect.Signature.empty


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _is_too_deep(text: str) -> bool:
    try:
        level: list[Any] = [[json.loads(text)]]
    except RecursionError:
        return True
    for _ in range(MAX_DEPTH + 1):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _alike(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _alike(one) for key, one in value.items()}
    return [_alike(one) for one in value] if isinstance(value, list) else value


def _has_nul(text: str) -> bool:
    """Tell an escaped NUL from the six characters that a text may hold after an escaped backslash."""
    at = text.find("\\u0000")
    while at >= 0:
        backslashes = 0
        while at - 1 - backslashes >= 0 and text[at - 1 - backslashes] == "\\":
            backslashes += 1
        if backslashes % 2 == 0:
            return True
        at = text.find("\\u0000", at + 1)
    return False


@lru_cache(maxsize=4096)
def _adapter(returns: Any) -> TypeAdapter[Any]:
    return TypeAdapter(returns)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _as_it_is(value: Any) -> Any:
    return value


def plain(value: Any) -> Any:
    """Return a value as the JSON that `encode` would write."""
    return json.loads(encode(value))
