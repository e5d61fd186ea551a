"""The fleet that all cases share: one for each database, so that it is started twice and not a hundred times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cases.stages.fleet import CaseFleet, fleet_of_all_cases
from services import fresh_database


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseFleet]:
    """Two workers that are ready, on each database in turn."""
    folder = tmp_path_factory.mktemp("cases")
    if request.param == "sqlite":
        with fleet_of_all_cases(folder, None) as fleet:
            yield fleet
        return
    with fresh_database(request.getfixturevalue("postgres_server")) as url, fleet_of_all_cases(folder, url) as fleet:
        yield fleet
