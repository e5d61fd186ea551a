"""The words of an expression. Deliberately fewer than CEL has: what is not listed here is refused, not guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

Kind: TypeAlias = Literal["space", "text", "number", "name", "sign"]

_TOKEN = re.compile(
    r"""
    (?P<space>  [ \t\n\r\f]+ )
  | (?P<text>   [rR](?: "[^"\n\r]*" | '[^'\n\r]*' )
              | "(?: [^"\\\n\r] | \\. )*" | '(?: [^'\\\n\r] | \\. )*' )
  | (?P<number> 0[xX][0-9a-fA-F]+ | (?: [0-9]+(?:\.[0-9]+)? | \.[0-9]+ )(?:[eE][+-]?[0-9]+)? )
  | (?P<name>   [A-Za-z_][A-Za-z0-9_]* )
  | (?P<sign>   && | \|\| | [=!<>]= | [-+*/%!<>?:.,()\[\]{}] )
    """,
    re.VERBOSE,
)

#: What people write who come from another language.
_MEANT = {"=": "==", "&": "&&", "|": "||", "`": 'event.data["some-key"]'}

_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r"}


class Unfit(ValueError):
    """A text that is no expression; the message says why, and does not name the text."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression, and where it begins."""

    kind: Kind
    text: str
    at: int


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the words of an expression without the space between them; raise `Unfit` at the first that is none."""
    at, last = 0, "space"
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or text.startswith("//", at):
            raise Unfit(f"cannot be read at character {at + 1}: what is {text[at : at + 8]!r}{_meant(text[at])}?")
        kind = cast(Kind, found.lastgroup)
        if {kind, last} <= {"text", "number", "name"}:
            # Also where CEL has more forms of a literal: b"…", 1u, three quotes.
            raise Unfit(f"has two words that touch at character {at + 1}; put an operator or a space between them")
        if kind != "space":
            yield Token(kind, found[0], at)
        at, last = found.end(), kind


def literal(token: Token) -> str | None:
    """Return the string that a text stands for, or None where only the full language can tell."""
    if token.text[0] in "rR":
        return token.text[2:-1]
    inner = token.text[1:-1]
    if "\\" not in inner:
        return inner
    if any(escaped not in _ESCAPES for escaped in re.findall(r"\\(.)", inner)):
        return None
    return re.sub(r"\\(.)", lambda found: _ESCAPES[found[1]], inner)


def _meant(character: str) -> str:
    return f", perhaps {_MEANT[character]}" if character in _MEANT else ""
