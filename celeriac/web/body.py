"""Bodies: reads JSON from a request strictly, once, for every view that takes one, and JSON from fields of forms.

What cannot be kept or shown later is refused here, before any model looks at it: other media types, broken or deeply
nested JSON, NaN and infinity, bodies that are neither an object nor a list.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any, NoReturn

from flask import Request

from celeriac.web.problems import Problem

#: the largest body, whatever its events are
MAX_BODY_BYTES = 8 * 1024 * 1024

#: the deepest nesting of objects and lists
MAX_DEPTH = 100

#: A string, or what is left of one that does not end: it matches at every quote and gives nothing back, so that no
#: byte is looked at twice.
STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
#: how the depth changes at each bracket
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(_STEPS))


class StrictRequest(Request):
    """A request whose `get_json` refuses in our own words; it answers the same value when asked again."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the body's object or list; raise `Problem`, never anything else and never quietly."""
        if not hasattr(self, "_strict_json"):
            self._strict_json = self._read_json()
        return self._strict_json

    def _read_json(self) -> dict[str, Any] | list[Any]:
        if not self.is_json:
            raise Problem(415, "unsupported_media_type", "Send JSON with the header Content-Type: application/json")
        if self.headers.get("Content-Encoding", "identity") != "identity":
            raise Problem(415, "unsupported_media_type", "Send the body without a Content-Encoding")
        try:
            value = read_json(self.get_data())
        except ValueError as error:
            raise _invalid(f"The body {error}") from error
        if not isinstance(value, dict | list):
            raise _invalid("The body must be an object or a list")
        return value


def read_json(raw: bytes) -> Any:
    """Read strict JSON in UTF-8; raise `ValueError` that says why it is none, or cannot be kept and shown."""
    if is_too_deep(raw):
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
    try:
        return json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {str(error)[:200]}") from error


def is_too_deep(raw: bytes) -> bool:
    """Say whether JSON is nested deeper than `MAX_DEPTH`; what is broken otherwise is left to the parser."""
    brackets = STRING.sub(b"", raw).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _invalid(detail: str) -> Problem:
    return Problem(400, "invalid_request", detail)
