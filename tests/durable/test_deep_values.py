"""Values that are nested deeply: refused with a clear error, before what goes down level by level meets them."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac.platform.codec import MAX_DEPTH, Uncodable, canonical, encode
from celeriac.platform.durable.matching import match_keys_in


def nested(depth: int, *, lists: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


@pytest.mark.parametrize("lists", [True, False])
def test_a_value_has_so_many_levels_and_no_more(lists: bool) -> None:
    value = nested(MAX_DEPTH, lists=lists)
    assert encode(value).count("1") == 1
    assert canonical(value).count("1") == 1
    assert match_keys_in({"name": "e", "data": {"a": value}}) is not None
    for depth in (MAX_DEPTH + 1, 600, 900, 100_000):
        with pytest.raises(Uncodable, match="nested too deeply"):
            encode(nested(depth, lists=lists))


def test_many_values_beside_each_other_are_not_deep() -> None:
    assert encode([{"a": [n]} for n in range(1_000)]).count("a") == 1_000
    assert encode({"text": "[{" * 1_000}) == '{"text":"' + "[{" * 1_000 + '"}'
