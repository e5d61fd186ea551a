r"""What a regular expression costs.

The library's are linear in their text, so no pattern hangs. But it compiles them at each look, and `\\w{90}` or
`(a{90}){90}` is a large machine: its size is estimated here, always rather too high than too low.
"""

from __future__ import annotations

import re

from celeriac.platform.expression.tokens import Unfit

#: One is about a microsecond to compile. The character classes of Unicode are large.
_LETTER, _CLASS, _DIGITS, _UNICODE = 1, 5, 20, 500
_ESCAPED = {"w": _UNICODE, "W": _UNICODE, "p": _UNICODE, "P": _UNICODE, "d": _DIGITS, "D": _DIGITS}
_ESCAPED |= {"s": 2 * _CLASS, "S": 2 * _CLASS, "b": _CLASS, "B": _CLASS}

#: What all patterns of one expression may weigh together.
HEAVIEST = 20_000
_ANY_CASE = 3

_GROUP = re.compile(r"\((?: \?: | \?i\) | \?P?<[A-Za-z_]\w*> | (?!\?) )", re.VERBOSE)
_RANGE = re.compile(r"\[\^?\]?(?: [^\]\\] | \\. )*\]", re.VERBOSE | re.DOTALL)
_ESCAPE = re.compile(r"\\(?: [pP]\{\w*\} | . )", re.VERBOSE | re.DOTALL)
#: gives nothing back: spaces that end in no brace would be shared out in every way between the places for them
TIMES = re.compile(r"\{\s*+(\d*+)\s*+(?:,\s*+(\d*+)\s*+)?+\}")


def weight_of(pattern: str) -> int:
    """Return about how large the machine is that a pattern becomes; raise `Unfit` where it cannot be told."""
    sums, last, at = [0], 0, 0
    while at < len(pattern):
        part = _part(pattern, at)
        at += len(part)
        if part == "(?i)":
            last = 0
        elif part[0] == "(":
            sums, last = [*sums, 0], 0
        elif part == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        elif times := TIMES.fullmatch(part):
            more = last * (max(1, *(int(number or 0) for number in times.groups())) - 1)
            sums[-1], last = sums[-1] + more, last + more
        elif part not in "*+?|":
            last = _weight(part)
            sums[-1] += last
    return sum(sums) * (_ANY_CASE if "(?i)" in pattern else 1)


def _part(pattern: str, at: int) -> str:
    """Return what stands at this place of a pattern: one character, or what belongs together."""
    kinds = {"\\": _ESCAPE, "[": _RANGE, "{": TIMES, "(": _GROUP}
    if pattern[at] not in kinds:
        return pattern[at]
    found = kinds[pattern[at]].match(pattern, at)
    if found is None and pattern[at] != "{":
        raise Unfit(f"has the pattern {pattern[:40]!r}: what is {pattern[at : at + 4]!r}? Of flags there is (?i)")
    return found[0] if found else pattern[at]


def _weight(part: str) -> int:
    if part == ".":
        return _CLASS
    if part[0] == "[":
        return _CLASS + sum(_ESCAPED.get(escaped, 0) for escaped in re.findall(r"\\(.)", part))
    return _ESCAPED.get(part[1], _LETTER) if part[0] == "\\" else _LETTER
