"""The long way: an expression that the library compiles and executes, kept away from what it cannot bear.

The library turns all data that it is given into its own, so it gets only what the expression looks at: that is
quicker, and an odd value elsewhere in the event spoils nothing. It recurses over nested data on the machine's stack,
where too deep means the end of the process; so the depth is measured before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from celeriac.platform.expression.path import MISSING
from celeriac.platform.expression.source import Source
from celeriac.platform.expression.tokens import Unfit

if TYPE_CHECKING:
    import cel

#: The keys that are looked at, each with those below it; nothing below means the whole value.
Tree: TypeAlias = dict[str, "Tree"]

#: How deep below the scope a value may lie: sixty-four levels below the data of an event.
_DEEPEST = 66

#: How long patterns may be at work: their weight times the text they may see. It is about a third of a second.
_MOST_WORK = 50_000_000

#: Where in its reports the library says what is wrong with an expression, and with a pattern.
_IN_TEXT = re.compile(r"ERROR: <input>:\d+:(\d+): (?:Syntax error: )?(.*?)(?: expecting .*)?$", re.MULTILINE)
_IN_PATTERN = re.compile(r"^error: (.*)\. Check function arguments", re.MULTILINE)


class Program:
    """One expression, compiled when it is first needed."""

    def __init__(self, source: Source) -> None:
        """Take what `read` has allowed."""
        self._source = source
        self._looked_at = _tree(source)
        self._sums = 1 + sum(token.text == "+" for token in source.tokens)
        self._compiled: cel.Program | None = None
        self._is_broken = False

    def check(self) -> None:
        """Compile it; raise `Unfit` where that fails."""
        import cel  # a quarter of a second, so only where the short way does not do

        try:
            compiled = cel.compile(self._source.text)
        except ValueError as error:
            raise Unfit(_reason(str(error))) from None
        for pattern in self._source.patterns:
            try:
                cel.evaluate("''.matches(pattern)", {"pattern": pattern})
            except RuntimeError as error:
                why = _IN_PATTERN.search(str(error))
                raise Unfit(f"has the pattern {pattern[:40]!r}: {why[1] if why else 'it is too large'}") from None
        self._compiled = compiled

    def run(self, scope: Mapping[str, Any]) -> Any:
        """Return the value in this scope; `MISSING` where there is none, whatever the reason."""
        program = self._ready()
        data = _taken(self._looked_at, scope)
        if program is None or not self._is_bearable(data):
            return MISSING
        try:
            return program.execute(data)
        except BaseException as error:
            # Each kind of failure has another type, and the library's panics are not even an `Exception`.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            return MISSING

    def _ready(self) -> cel.Program | None:
        """Return the program, compiled now if it was not; None where it cannot be."""
        if self._compiled is None and not self._is_broken:
            try:
                self.check()
            except Unfit:
                self._is_broken = True
        return self._compiled

    def _is_bearable(self, data: Any) -> bool:
        """Say whether the library may have this data: JSON, not too deep, and not too much text for the patterns."""
        size, rest = 0, [(data, 0)]
        while rest:
            value, depth = rest.pop()
            if isinstance(value, str):
                size += len(value)
            elif isinstance(value, dict):
                rest += [(one, depth + 1) for one in value.values()]
            elif isinstance(value, list | tuple):
                rest += [(one, depth + 1) for one in value]
            elif not isinstance(value, int | float | None):
                return False
            if depth > _DEEPEST:
                return False
        return size * self._sums * self._source.weight <= _MOST_WORK


def _reason(report: str) -> str:
    found = _IN_TEXT.search(report)
    what = found[2].replace("'<EOF>'", "the end") if found else ""
    return f"cannot be read at character {found[1]}: {what}" if found else "cannot be read"


def _tree(source: Source) -> Tree:
    """Join the paths of an expression; one that ends inside another takes the whole."""
    tree: Tree = {}
    for path in sorted(source.paths, key=len, reverse=True):
        below = tree
        for key in path[:-1]:
            below = below.setdefault(key, {})
        below[path[-1]] = {}
    return tree


def _taken(looked_at: Tree, value: Any) -> Any:
    """Return the part of a value that is looked at."""
    if not isinstance(value, Mapping):
        return 0  # in place of anything that has no keys: to ask it for one is an error
    return {key: _taken(below, value[key]) if below else value[key] for key, below in looked_at.items() if key in value}
