"""A migrated database of its own for each test of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from celeriac.database import connect, migrate
from celeriac.tenants.tenant import Tenants


@pytest.fixture
def tenancy(database_url: str) -> Iterator[Engine]:
    """An engine over an empty installation."""
    migrate(database_url)
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def tenants(tenancy: Engine) -> Tenants:
    """The tenants of an installation that has none."""
    return Tenants(tenancy)
