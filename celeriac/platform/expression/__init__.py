"""Expressions: a part of CEL, in which triggers, waits, keys and conditions speak of events.

Declarations call `check`; ingest, the gate and the waits call `evaluate`, `holds` and `key_of` with a scope of two
names: `event`, and in waits and cancellations `async`, the event that comes. Whatever an event holds, an evaluation
ends soon and raises nothing: a missing key, a wrong type or a division by zero is `MISSING`, which is no match.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import to_jsonable_python

from celeriac.errors import ConfigError
from celeriac.platform.expression.path import MISSING, Missing, check_path, look_up
from celeriac.platform.expression.program import Program
from celeriac.platform.expression.shortcut import Evaluate, shortcut
from celeriac.platform.expression.source import Source, read
from celeriac.platform.expression.tokens import Unfit

__all__ = ["MISSING", "Missing", "check", "check_path", "evaluate", "holds", "key_of", "look_up"]

#: What people mean by some names that stand alone.
_MEANT = {"and": "&&", "or": "||", "not": "!", "True": "true", "False": "false", "None": "null"}
_MEANT |= {key: f"event.{key}" for key in ("data", "name", "id", "ts")}


def check(text: str, *, names: Sequence[str] = ("event",)) -> str:
    """Return the expression as it is; raise `ConfigError` with the reason where it can never be evaluated.

    `names` are what it may speak of in its place.
    """
    try:
        source = read(text)
        _check_names(source, names)
        program = Program(source)
        if shortcut(source, program.run) is None:
            program.check()
    except Unfit as reason:
        raise ConfigError(f"The expression {text[:80]!r} {reason}") from None
    return text


def evaluate(text: str, scope: Mapping[str, Any]) -> Any:
    """Return what the expression says in this scope; `MISSING` where it says nothing. Never raises."""
    return _compiled(text)(scope)


def holds(text: str, scope: Mapping[str, Any]) -> bool:
    """Say whether the expression is true in this scope; only `true` is, not 1 and not a text."""
    return _compiled(text)(scope) is True


def key_of(text: str, scope: Mapping[str, Any]) -> str | None:
    """Return the value as JSON text, the same for all values that are equal; None where there is no value.

    A `null` is a value. One that has no JSON form is not.
    """
    value = evaluate(text, scope)
    if value is MISSING:
        return None
    try:
        key = json.dumps(_canonical(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
        key.encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return key


@lru_cache(maxsize=2048)
def _compiled(text: str) -> Evaluate:
    try:
        source = read(text)
    except Unfit:
        return lambda _scope: MISSING
    program = Program(source)
    return shortcut(source, program.run) or program.run


def _check_names(source: Source, names: Sequence[str]) -> None:
    for name in sorted({path[0] for path in source.paths} - set(names)):
        if name == "async":
            hint = "; the event that comes is there only in waits and cancellations"
        elif f"-{name}" in source.text:
            hint = "; a key with a dash is written event.data['user-id']"
        else:
            hint = f"; did you mean {_MEANT.get(name, f'event.data.{name}')}?"
        raise Unfit(f"speaks of {name!r}, and may speak of {' and '.join(map(repr, names))}{hint}")


def _canonical(value: Any) -> Any:
    """Return plain JSON in which equal numbers are written alike: 1.0 is 1."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _canonical(one) for key, one in value.items()}
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
    return value if isinstance(value, str | int | None) else to_jsonable_python(value)
