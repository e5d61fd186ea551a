"""A Postgres of the rules' own, for the races that need one: migrated once a session, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

import celeriac.platform.memory.tables
import celeriac.platform.store.tables
import celeriac.tenants.tables  # noqa: F401 (the three rooms with tables)
from celeriac.database import connect, metadata, migrate, transaction
from services import fresh_database


@pytest.fixture(scope="session")
def rules_schema(postgres_server: str) -> Iterator[Engine]:
    """A migrated database."""
    with fresh_database(postgres_server) as url:
        migrate(url)
        engine = connect(url)
        yield engine
        engine.dispose()


@pytest.fixture
def postgres(rules_schema: Engine) -> Engine:
    """The same with empty tables."""
    with transaction(rules_schema) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return rules_schema
