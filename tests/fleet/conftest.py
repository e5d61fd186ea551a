"""The fleet that the tests of one file share: two workers on SQLite, with times short enough for tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.worker_fleet import Fleet
from services import fresh_database


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers that are ready."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.start_two()
        yield fleet


@pytest.fixture(scope="module")
def postgres_fleet(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[Fleet]:
    """The same on Postgres."""
    with fresh_database(postgres_server) as url, Fleet(tmp_path_factory.mktemp("fleet"), url) as fleet:
        fleet.start_two()
        yield fleet


@pytest.fixture(params=["fleet", "postgres_fleet"])
def each_fleet(request: pytest.FixtureRequest) -> Fleet:
    """The test runs once on each database."""
    fleet: Fleet = request.getfixturevalue(request.param)
    return fleet


@pytest.fixture
def tenant(fleet: Fleet) -> str:
    """A tenant of its own for each test."""
    return fleet.tenant()
