"""The stage that all plays share: two workers on Postgres that run every example."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from celeriac.testing import Harness
from celeriac.testing.model_server import ModelServer
from celeriac.types import Model
from examples.script import model_that_says
from fleet.worker_fleet import Fleet
from plays.every_example import SCRIPT
from plays.playing import Stage
from services import fresh_database


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[Stage]:
    """Workers that are ready, and a tenant."""
    folder = tmp_path_factory.mktemp("stage")
    with fresh_database(postgres_server) as url, ModelServer(SCRIPT) as server:
        env = {
            "OPENAI_BASE_URL": server.openai_base_url,
            "OPENAI_API_KEY": "offline",
            "ANTHROPIC_BASE_URL": server.anthropic_base_url,
            "ANTHROPIC_API_KEY": "offline",
            "CODING_FOLDER": str(folder),
        }
        with Fleet(folder, url, app="plays.every_example:app", **env) as fleet:
            fleet.start_two()
            yield Stage(fleet=fleet, server=server, tenant=fleet.tenant())


@pytest.fixture
def model() -> Iterator[Model]:
    """A model that follows the scripts of all examples."""
    with model_that_says(SCRIPT) as model:
        yield model


@pytest.fixture
async def engine(request: pytest.FixtureRequest, model: Model) -> AsyncIterator[Harness]:
    """An engine in memory for the app of the test's module, with a clock to move."""
    async with Harness(request.module.app, model=model) as engine:
        yield engine
