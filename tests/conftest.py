"""Fixtures that every room's tests share: addresses of real parts, each clean at the start of a test.

A test that names `redis_url`, `postgres_url`, `sqlite_url` or `database_url` (both databases in turn) gets a server
that this session started. Fixtures of one room live in the `conftest.py` of that room.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from services import chromium_executable, fresh_database, running_postgres, running_redis
from skip_policy import SkipPolicy


def pytest_configure(config: pytest.Config) -> None:
    """Watch the skips of this session."""
    list_file = Path(__file__).with_name("allowed_skips.txt")
    config.pluginmanager.register(SkipPolicy(list_file, enforced=os.environ.get("CI") == "true"), "skip-policy")


@pytest.fixture(autouse=True)
def no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings and the provider keys of whoever runs the tests."""
    for name in list(os.environ):
        if (name.startswith("CELERIAC_") and not name.startswith("CELERIAC_TEST_")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEM0_TELEMETRY", "False")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of this session's Redis, whatever is in it; tests take `redis_url`."""
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a Postgres where databases may be made: CELERIAC_TEST_POSTGRES_URL, else our own."""
    named = os.environ.get("CELERIAC_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The SQLAlchemy URL of an empty Postgres database."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'celeriac.sqlite'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The SQLAlchemy URL of an empty database; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of a browser that playwright can drive."""
    path = chromium_executable()
    if path is None:
        pytest.skip("There is no chromium on this machine (Debian: apt install chromium).")
    return path
