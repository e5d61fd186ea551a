"""Sets in a state: as JSON they are lists, and the order of such a list says nothing.

So they are written in an order of their own, the same in every process, and marked, so that what was added is told
from what was taken out (`patch.py`). Knows nothing of states but their values.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter


class Members(list[Any]):
    """A list that stands for a set."""


def with_members(adapter: TypeAdapter[Any], data: Any, plain: Any, *, by_alias: bool, round_trip: bool) -> Any:
    """Return the JSON that `adapter` made of the data with its sets as `Members`."""
    if not _has_sets(adapter):
        return plain
    value = adapter.dump_python(data, mode="python", by_alias=by_alias, round_trip=round_trip, warnings=False)
    return _marked(plain, value)


def key_of(value: Any) -> str:
    """Return what two equal values as JSON have in common, and by which they are put in order."""
    return json.dumps(value, sort_keys=True, default=str)


def _marked(plain: Any, value: Any) -> Any:
    if isinstance(value, set | frozenset) and isinstance(plain, list):
        return Members(sorted(plain, key=key_of))
    if isinstance(value, dict) and isinstance(plain, dict) and len(value) == len(plain):
        return {name: _marked(one, part) for (name, one), part in zip(plain.items(), value.values(), strict=True)}
    if isinstance(value, list | tuple) and isinstance(plain, list) and len(value) == len(plain):
        return [_marked(one, part) for one, part in zip(plain, value, strict=True)]
    return plain


@lru_cache(maxsize=256)
def _has_sets(adapter: TypeAdapter[Any]) -> bool:
    """Whether there may be a set among the values of the type."""
    return re.search(r"'type': '(frozen)?set'", str(adapter.core_schema)) is not None
