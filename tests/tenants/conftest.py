"""A migrated database of its own for each test of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from sqlalchemy import Engine

from celeriac import App
from celeriac.database import connect, metadata, migrate, transaction
from celeriac.settings import load_settings
from celeriac.tenants.people import People
from celeriac.tenants.tenant import Tenants
from celeriac.wiring import Installation, installation
from services import fresh_database


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows; migrating one for each test would take longer than the test."""
    path = tmp_path_factory.mktemp("tenants") / "empty.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """A Postgres database with all tables, for the whole session."""
    with fresh_database(postgres_server) as url:
        migrate(url)
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def tenancy_url(request: pytest.FixtureRequest, migrated_file: Path, sqlite_url: str) -> str:
    """The URL of an empty installation, on both databases in turn."""
    if request.param == "sqlite":
        copyfile(migrated_file, sqlite_url.removeprefix("sqlite:///"))
        return sqlite_url
    url: str = request.getfixturevalue("migrated_postgres")
    return url


@pytest.fixture
def tenancy(tenancy_url: str) -> Iterator[Engine]:
    """An engine over an empty installation."""
    engine = connect(tenancy_url)
    if engine.dialect.name == "postgresql":
        with transaction(engine) as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
    yield engine
    engine.dispose()


@pytest.fixture
def tenants(tenancy: Engine) -> Tenants:
    """The tenants of an installation that has none."""
    return Tenants(tenancy)


@pytest.fixture
def people(tenancy: Engine) -> People:
    """The people of an installation that has none."""
    return People(tenancy)


@pytest.fixture
def tenant_id(tenants: Tenants) -> str:
    """A tenant."""
    return tenants.create("bank").id


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
