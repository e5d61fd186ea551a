"""A migrated database of its own for each test of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from celeriac import App
from celeriac.database import connect, migrate
from celeriac.settings import load_settings
from celeriac.tenants.tenant import Tenants
from celeriac.wiring import Installation, installation


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


@pytest.fixture
def deployment(sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """This process's own installation."""
    migrate(sqlite_url)
    monkeypatch.setenv("CELERIAC_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("CELERIAC_REDIS_URL", redis_url)
    caches = (load_settings, installation)
    for cached in caches:
        cached.cache_clear()
    yield installation()
    installation().close()
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def shop() -> App:
    """An app with one function."""
    app = App("shop")

    @app.function(on="shop/order.placed")
    async def ship(ctx: object) -> None:
        """Ship an order."""

    return app
