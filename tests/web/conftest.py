"""The web under test: a real server over SQLite and Redis, with two banks as tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile

import pytest
from http_client import Client
from isolation_world import World, build_world
from web_stage import SECRET_KEY, Bank, open_bank, serving

from celeriac.database import migrate
from celeriac.settings import Settings
from celeriac.tenants.encryption import new_key
from celeriac.wiring import Installation, build
from services import fresh_database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows; migrating one for each test would take longer than the test."""
    path = tmp_path_factory.mktemp("web") / "empty.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def installation(empty_database: Path, sqlite_url: str, redis_url: str) -> Installation:
    """An installation without workers."""
    copyfile(empty_database, sqlite_url.removeprefix("sqlite:///"))
    return build(Settings(database_url=sqlite_url, redis_url=redis_url, secret_key=SECRET_KEY))


@pytest.fixture
def server(installation: Installation) -> Iterator[str]:
    """The address of the web over the installation."""
    with serving(installation) as url:
        yield url


@pytest.fixture
def bank(installation: Installation, server: str) -> Bank:
    """A tenant whose functions are declared."""
    return open_bank(installation, server, "Northbridge Bank")


@pytest.fixture
def other_bank(installation: Installation, server: str) -> Bank:
    """Another tenant of the same installation."""
    return open_bank(installation, server, "Alder & Sons")


@pytest.fixture
def visitor(server: str) -> Client:
    """Somebody without a key."""
    return Client(server)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def world(
    request: pytest.FixtureRequest, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Two tenants side by side, once for the whole matrix on each database; its tests make their own things in it."""
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path_factory.mktemp('isolation') / 'celeriac.sqlite'}"
        if request.param == "postgres":
            url = stack.enter_context(fresh_database(request.getfixturevalue("postgres_server")))
        migrate(url)
        keys = {"secret_key": SECRET_KEY, "encryption_keys": new_key("k1")}
        world = build_world(build(Settings(database_url=url, redis_url=redis_server, **keys)))
        yield world
        world.engine.dispose()
        world.own.rooms.close()
