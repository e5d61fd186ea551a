"""The fleet that the tests of one file share: two workers on SQLite, with times short enough for tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.worker_fleet import Fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers that are ready."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.start_two()
        yield fleet


@pytest.fixture
def tenant(fleet: Fleet) -> str:
    """A tenant of its own for each test."""
    return fleet.tenant()
