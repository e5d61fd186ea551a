"""A tenant with a quota has that many memories and no more, however many add at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from celeriac.database import connect, metadata
from celeriac.errors import LimitError
from celeriac.platform.memory import tables
from celeriac.platform.memory.mem0 import Mem0Memories, mem0_memories

QUOTA = 5


@pytest.fixture
def limited(database_url: str) -> Iterator[Mem0Memories]:
    """Memories of which the tenant `ten_a` may have five."""
    engine = connect(database_url)
    metadata.create_all(engine, [tables.memories])
    yield mem0_memories(engine, "hashing", lambda tenant_id: QUOTA if tenant_id == "ten_a" else None)
    engine.dispose()


def test_of_many_that_are_added_at_once_exactly_as_many_as_may_be_are_kept(limited: Mem0Memories) -> None:
    """The others are refused; a tenant without the quota is not counted."""
    limited.add("ten_b", "ann", [f"fact {n}" for n in range(8)])

    def is_added(number: int) -> bool:
        try:
            return bool(limited.add("ten_a", f"user {number % 3}", f"fact {number}"))
        except LimitError:
            return False

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(is_added, range(12)))
    assert sum(added) == QUOTA == sum(len(limited.all("ten_a", f"user {n}")) for n in range(3))


def test_a_memory_that_is_there_may_be_added_again(limited: Mem0Memories) -> None:
    """A step that is tried again meets its own memories, and forgetting one makes room."""
    added = limited.add("ten_a", "ann", [f"fact {n}" for n in range(QUOTA)], idempotency_key="run_1")
    assert limited.add("ten_a", "ann", "fact 0", idempotency_key="run_1") == added[:1]
    with pytest.raises(LimitError, match="'memories'"):
        limited.add("ten_a", "ann", "one more")
    limited.delete("ten_a", added[0].id)
    assert limited.add("ten_a", "ann", "one more")
