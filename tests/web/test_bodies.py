"""Bodies: how deep they are is found out in one look at each byte, whatever a sender has made of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celeriac.web.body import MAX_DEPTH, STRING, is_too_deep

pieces = st.lists(st.sampled_from([b'"', b"\\", b'\\"', b"[", b"]", b"{", b"}", b"a", b"\n", b"\xff"]), max_size=40)


def nested(levels: int, innermost: Any) -> Any:
    """Return lists and objects by turns around a value."""
    for level in range(levels):
        innermost = [1, innermost] if level % 2 else {'}"]': innermost, "b": "]]"}
    return innermost


@settings(deadline=None, database=None)
@given(pieces)
def test_each_byte_of_a_body_is_looked_at_once(pieces: list[bytes]) -> None:
    """A quote that is left over is one from which the pattern looked on in vain, and it would at the next one too."""
    assert b'"' not in STRING.sub(b"", b"".join(pieces))


def test_a_pattern_that_looks_in_vain_would_be_noticed() -> None:
    assert b'"' in re.sub(rb'"(?:[^"\\]|\\.)*+"', b"", b'{"x":"\\"\\"')


@pytest.mark.parametrize("innermost", ["[[[", 'a"[{\\', "\\", [], {"[": None}])
def test_brackets_count_outside_of_strings_alone(innermost: Any) -> None:
    own = 0 if isinstance(innermost, str) else 1
    assert not is_too_deep(json.dumps(nested(MAX_DEPTH - own, innermost)).encode())
    assert is_too_deep(json.dumps(nested(MAX_DEPTH - own + 1, innermost)).encode())
