"""The stores under test: every test that takes `stage` or `store` runs once on each of `KINDS`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from store_stage import Stage, function

import celeriac.platform.memory.tables
import celeriac.platform.store.tables
import celeriac.tenants.tables  # noqa: F401 (the three rooms with tables)
from celeriac.database import connect, metadata, migrate, transaction
from celeriac.platform.durable.store import Store
from celeriac.platform.durable.usage import Usages
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.sql_usage import SqlUsages
from celeriac.row_security import ENGINE
from services import fresh_database

#: whatever keeps the truth has to pass the suite
KINDS = ("local", "sqlite", "postgres")


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A migrated SQLite file for the whole session."""
    yield from _migrated(f"sqlite:///{tmp_path_factory.mktemp('store') / 'celeriac.sqlite'}")


@pytest.fixture(scope="session")
def postgres_schema(postgres_server: str) -> Iterator[Engine]:
    """A migrated Postgres database for the whole session, behind its wall as the engine sees it."""
    with fresh_database(postgres_server) as url:
        yield from _migrated(url, role=ENGINE)


@pytest.fixture(params=("sqlite", "postgres"))
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine over empty tables, on each database."""
    return _emptied(request.getfixturevalue(f"{request.param}_schema"))


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return LocalStore()
    return SqlStore(_emptied(request.getfixturevalue(f"{request.param}_schema")))


@pytest.fixture
def usages(request: pytest.FixtureRequest, store: Store) -> Usages:
    """What reads the usage of the store."""
    if isinstance(store, LocalStore):
        return store
    return SqlUsages(request.getfixturevalue(f"{request.node.callspec.params['store']}_schema"))


@pytest.fixture
def stage(store: Store) -> Stage:
    """A store in which `work` starts on `ticket`."""
    return _set(store)


@pytest.fixture
def sql_stage(engine: Engine) -> Stage:
    """The same on the databases alone."""
    return _set(SqlStore(engine))


def _set(store: Store) -> Stage:
    stage = Stage(store)
    stage.declare(function())
    return stage


def _migrated(url: str, role: str | None = None) -> Iterator[Engine]:
    migrate(url)
    engine = connect(url, role=role)
    yield engine
    engine.dispose()


def _emptied(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return engine
