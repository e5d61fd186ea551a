"""The implementations of `Memories`, each empty at the start of a test, and contexts to bind memories to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from celeriac.database import connect, metadata
from celeriac.platform.context import Context
from celeriac.platform.event import Event
from celeriac.platform.inline import InlineKernel
from celeriac.platform.memory import tables
from celeriac.platform.memory.local_memories import LocalMemories
from celeriac.platform.memory.mem0 import Mem0Memories, mem0_memories
from celeriac.platform.memory.memory import Memories
from celeriac.platform.run import Run
from celeriac.platform.step import Step

ContextMaker = Callable[..., Context[Any]]


@contextmanager
def opened(url: str) -> Iterator[Mem0Memories]:
    """Open Mem0's memories in a database with their table."""
    engine = connect(url)
    metadata.create_all(engine, [tables.memories])
    yield mem0_memories(engine, "hashing")
    engine.dispose()


@pytest.fixture(params=["local", "sqlite", "postgres"])
def memories(request: pytest.FixtureRequest) -> Iterator[Memories]:
    """Each implementation in turn."""
    if request.param == "local":
        yield LocalMemories()
        return
    with opened(request.getfixturevalue(f"{request.param}_url")) as kept:
        yield kept


@pytest.fixture
def sqlite_memories(sqlite_url: str) -> Iterator[Mem0Memories]:
    """Mem0's memories on SQLite, for what does not depend on the database."""
    with opened(sqlite_url) as kept:
        yield kept


@pytest.fixture
def context() -> ContextMaker:
    """Make the context of a run by the data of its event."""

    def make(data: Any = None, tenant_id: str = "ten_a", run_id: str = "run_1") -> Context[Any]:
        run = Run(id=run_id, tenant_id=tenant_id, app="support", function_id="answer")
        return Context(step=Step(InlineKernel()), event=Event("support/ticket.opened", data), run=run)

    return make
