"""The text of an expression, taken apart: what it looks at, what it calls, and whether that is allowed.

Everything is refused here that could make an evaluation long: loops, deep nesting, patterns that are not known
beforehand. What is left has a cost that grows with the data alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from celeriac.platform.expression.pattern import HEAVIEST, weight_of
from celeriac.platform.expression.tokens import Token, Unfit, literal, tokens_of
from celeriac.platform.signature import did_you_mean

LONGEST = 1024
DEEPEST = 16

KEYWORDS = frozenset({"true", "false", "null", "in"})

_FUNCTIONS = frozenset({"size", "int", "double", "string", "timestamp", "duration", "has"})
_OF_TIMES = ("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear", "Hours", "Minutes", "Seconds")
_METHODS = frozenset({"startsWith", "endsWith", "contains", "matches", "size", *(f"get{part}" for part in _OF_TIMES)})

#: What goes through a list, in CEL and its extensions.
_LOOPS = frozenset(
    ("map", "filter", "all", "exists", "exists_one", "existsOne", "transformList", "transformMap", "sortBy")
)

#: What follows a value; before a dot it is an access, before a brace the name of a type.
_ENDS = frozenset(")]}")


@dataclass(frozen=True)
class Source:
    """An expression that may be evaluated."""

    text: str
    tokens: tuple[Token, ...]
    #: what it looks at, each from its root: `("event", "data", "user_id")`
    paths: tuple[tuple[str, ...], ...]
    patterns: tuple[str, ...]
    #: what the patterns weigh together
    weight: int


def read(text: str) -> Source:
    """Take an expression apart; raise `Unfit` where it says something that is not allowed."""
    if not text.strip():
        raise Unfit("is empty; write it like 'event.data.user_id'")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Unfit("holds a lone surrogate, half of a character") from None
    if size > LONGEST:
        raise Unfit(f"has {size} bytes; the limit is {LONGEST}. Compute it in a step, or before you send the event")
    tokens = tuple(tokens_of(text))
    _check_nesting(tokens)
    _check_neighbours(tokens)
    _check_calls(tokens)
    patterns = tuple(_patterns(tokens))
    weight = sum(map(weight_of, patterns))
    if weight > HEAVIEST:
        raise Unfit("has patterns that are too large once their repetitions are written out; make them simpler")
    return Source(text, tokens, tuple(_paths(tokens)), patterns, weight)


def path_at(tokens: Sequence[Token], at: int) -> tuple[tuple[str, ...], int]:
    """Return the path that begins at this name, and where it ends: before a call, or an index that is computed."""
    keys = [tokens[at].text]
    at += 1
    while at + 1 < len(tokens):
        sign, key = tokens[at].text, tokens[at + 1]
        if sign == "." and key.kind == "name" and not _is_call(tokens, at + 1):
            keys.append(key.text)
            at += 2
        elif (
            sign == "[" and key.kind == "text" and _text(tokens, at + 2) == "]" and (found := literal(key)) is not None
        ):
            keys.append(found)
            at += 3
        else:
            break
    return tuple(keys), at


def _check_nesting(tokens: Sequence[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += (token.text in "([{") - (token.text in ")]}")
        if depth > DEEPEST:
            raise Unfit(f"is nested more than {DEEPEST} deep; compute a part of it before you send the event")


def _check_neighbours(tokens: Sequence[Token]) -> None:
    """Refuse what CEL allows and the house does not: absolute names, and values of declared types."""
    for before, token in zip((None, *tokens), tokens, strict=False):
        ends = before is not None and (before.text in _ENDS or before.kind != "sign") and before.text != "in"
        if token.text == "." and not ends:
            raise Unfit(f"has a name that begins with a dot at character {token.at + 1}; leave out the dot")
        if token.text == "{" and ends:
            raise Unfit(f"cannot be read at character {token.at + 1}: put an operator before '{{'")


def _check_calls(tokens: Sequence[Token]) -> None:
    for at, token in enumerate(tokens):
        if not _is_call(tokens, at) or token.text in KEYWORDS:
            continue
        is_method = _is_member(tokens, at)
        if token.text in _LOOPS:
            raise Unfit(
                f"uses {token.text!r}, which loops over a list. Compute it in a step, or before you send the event"
            )
        known = _METHODS if is_method else _FUNCTIONS
        if token.text not in known:
            kind = "method" if is_method else "function"
            raise Unfit(f"calls the {kind} {token.text!r}, which is not known{did_you_mean(token.text, known)}")


def _patterns(tokens: Sequence[Token]) -> Iterator[str]:
    for at, token in enumerate(tokens):
        if token.text != "matches" or not _is_call(tokens, at):
            continue
        is_one_text = _text(tokens, at + 3) == ")" and tokens[at + 2].kind == "text"
        pattern = literal(tokens[at + 2]) if is_one_text else None
        if pattern is None:
            raise Unfit("needs one plain string as the pattern of 'matches'; write it like matches(r'^[a-z]+$')")
        yield pattern


def _paths(tokens: Sequence[Token]) -> Iterator[tuple[str, ...]]:
    for at, token in enumerate(tokens):
        is_root = token.kind == "name" and token.text not in KEYWORDS and not _is_member(tokens, at)
        if is_root and not _is_call(tokens, at):
            yield path_at(tokens, at)[0]


def _is_call(tokens: Sequence[Token], at: int) -> bool:
    return tokens[at].kind == "name" and _text(tokens, at + 1) == "("


def _is_member(tokens: Sequence[Token], at: int) -> bool:
    return at > 0 and tokens[at - 1].text == "."


def _text(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].text if at < len(tokens) else ""
