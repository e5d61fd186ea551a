"""The short way: paths, comparisons of paths with a literal or a path, and `&&` between those, without the library.

Nearly all keys and conditions are of this kind, and ingest evaluates them for each event. What comes out is what the
library would say; where a value is unusual (a list, a number beyond 64 bits) the library is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from celeriac.platform.expression.path import MISSING, Missing, follow
from celeriac.platform.expression.source import KEYWORDS, Source, path_at
from celeriac.platform.expression.tokens import Token, literal

Evaluate: TypeAlias = Callable[[Mapping[str, Any]], Any]

#: The answer that sends an evaluation the long way.
_UNUSUAL: Final = object()

_CONSTANTS = {"true": True, "false": False, "null": None}
_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "number",
    float: "number",
    str: "text",
    Missing: "missing",
}

#: The whole numbers that the library holds exactly, and the largest that may be written in an expression.
_LEAST, _MOST, _MOST_WRITTEN = -(2**63), 2**64 - 1, 2**63 - 1


def shortcut(source: Source, otherwise: Evaluate) -> Evaluate | None:
    """Return how to evaluate without the library, which is `otherwise`; None where that cannot be done."""
    terms: list[_Part] = []
    at = 0
    while True:
        term = _term(source.tokens, at)
        if term is None:
            return None
        terms.append(term)
        if term.end == len(source.tokens):
            break
        if source.tokens[term.end].text != "&&":
            return None
        at = term.end + 1
    if len(terms) > 1:
        return _conjunction([term.evaluate for term in terms], otherwise)
    return term.evaluate if term.is_path else _condition(term.evaluate, otherwise)


class _Part(NamedTuple):
    """A part of an expression that was read: its value, and the token where the next part begins."""

    evaluate: Evaluate
    end: int
    is_path: bool = False


def _term(tokens: Sequence[Token], at: int) -> _Part | None:
    """Read a comparison, or a path alone."""
    left = _operand(tokens, at)
    if left is None:
        return None
    sign = tokens[left.end].text if left.end < len(tokens) else ""
    if sign not in ("==", "!="):
        return left if left.is_path else None
    right = _operand(tokens, left.end + 1)
    return right and _Part(_comparison(left.evaluate, right.evaluate, wanted=sign == "=="), right.end)


def _operand(tokens: Sequence[Token], at: int) -> _Part | None:
    """Read a path or a literal; None for anything else, and for a literal that only the library understands."""
    is_negative = at < len(tokens) and tokens[at].text == "-"
    at += is_negative
    token = tokens[at] if at < len(tokens) else None
    if token is not None and token.kind == "number":
        return _number(token, at, is_negative=is_negative)
    if token is None or is_negative or token.kind == "sign":
        return None
    if token.kind == "text":
        text = literal(token)
        return None if text is None else _constant(text, at)
    if token.text in _CONSTANTS:
        return _constant(_CONSTANTS[token.text], at)
    keys, end = path_at(tokens, at)
    if any(token.kind == "name" and token.text in KEYWORDS for token in tokens[at:end]):
        return None
    return _Part(lambda scope: follow(keys, scope), end, is_path=True)


def _number(token: Token, at: int, *, is_negative: bool) -> _Part | None:
    value: int | float
    if token.text.isdecimal():
        value = int(token.text)
        if value > _MOST_WRITTEN:
            return None
    elif token.text[:2] in ("0x", "0X") or not math.isfinite(value := float(token.text)):
        return None
    return _constant(-value if is_negative else value, at)


def _constant(value: Any, at: int) -> _Part:
    return _Part(lambda _scope: value, at + 1)


def _comparison(left: Evaluate, right: Evaluate, *, wanted: bool) -> Evaluate:
    def compare(scope: Mapping[str, Any]) -> Any:
        found = _same(left(scope), right(scope))
        return found is wanted if found is True or found is False else found

    return compare


def _same(left: Any, right: Any) -> Any:
    """Compare two values as JSON has them: true is not 1, and 1 is 1.0."""
    kind, other = _kind(left), _kind(right)
    if kind is None or other is None:
        return _UNUSUAL
    if left is MISSING or right is MISSING:
        return MISSING
    if kind != other:
        return False
    if kind == "number" and type(left) is not type(right):
        return float(left) == float(right)
    return bool(left == right)


def _kind(value: Any) -> str | None:
    """Return the kind of an ordinary value; None for one that the library may refuse, or compares in its own way."""
    kind = _KINDS.get(type(value))
    if kind == "text" and not value.isascii():
        return kind if _is_whole(value) else None
    if kind == "number" and type(value) is int and not _LEAST <= value <= _MOST:
        return None
    return kind


def _is_whole(text: str) -> bool:
    """Say whether the text holds no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _condition(compare: Evaluate, otherwise: Evaluate) -> Evaluate:
    def condition(scope: Mapping[str, Any]) -> Any:
        value = compare(scope)
        return otherwise(scope) if value is _UNUSUAL else value

    return condition


def _conjunction(terms: Sequence[Evaluate], otherwise: Evaluate) -> Evaluate:
    """Join terms as CEL does: one that is false decides wherever it stands, also beside one that is missing."""

    def conjunction(scope: Mapping[str, Any]) -> Any:
        values = [term(scope) for term in terms]
        for value in values:
            if _kind(value) is None:
                return otherwise(scope)
        if any(value is False for value in values):
            return False
        return True if all(value is True for value in values) else MISSING

    return conjunction
