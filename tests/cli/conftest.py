"""A shell with an installation: SQLite in a fresh folder and the session's Redis."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import SHOP, Shell

from celeriac.database import migrate


@pytest.fixture
def shell(tmp_path: Path, sqlite_url: str, redis_url: str) -> Shell:
    """A migrated installation with the app `shop:app`, and no worker."""
    (tmp_path / "shop.py").write_text(SHOP)
    migrate(sqlite_url)
    return Shell(folder=tmp_path, settings={"CELERIAC_DATABASE_URL": sqlite_url, "CELERIAC_REDIS_URL": redis_url})


@pytest.fixture
def tenant(shell: Shell) -> str:
    """A tenant's id."""
    return str(shell.json("tenants", "create", "Acme")["id"])
