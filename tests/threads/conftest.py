"""The implementations of `Threads`, each empty at the start of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from celeriac.database import connect, metadata
from celeriac.platform.agents.local_threads import LocalThreads
from celeriac.platform.agents.threads import Threads
from celeriac.platform.store import thread_tables
from celeriac.platform.store.sql_threads import SqlThreads

Most = Callable[[str], int | None]


@contextmanager
def opened(url: str, most: Most = lambda _: None) -> Iterator[SqlThreads]:
    """Open threads in a database with their tables."""
    engine = connect(url)
    metadata.create_all(engine, [thread_tables.threads, thread_tables.messages])
    yield SqlThreads(engine, most)
    engine.dispose()


@pytest.fixture(params=["local", "sqlite", "postgres"])
def threads(request: pytest.FixtureRequest) -> Iterator[Threads]:
    """Each implementation in turn; the tenant `ten_small` may have two threads."""

    def most(tenant_id: str) -> int | None:
        return 2 if tenant_id == "ten_small" else None

    if request.param == "local":
        yield LocalThreads(most)
        return
    with opened(request.getfixturevalue(f"{request.param}_url"), most) as kept:
        yield kept
