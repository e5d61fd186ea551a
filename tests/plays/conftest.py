"""The stage that all plays share: two workers on Postgres that run every example."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from celeriac.testing.model_server import ModelServer
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
