"""`celeriac usage`: of one tenant or of all, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from cli_shell import Shell

from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.event import Event
from celeriac.settings import Settings
from celeriac.wiring import Installation, build


@pytest.fixture
def rooms(shell: Shell) -> Iterator[Installation]:
    """The rooms behind the shell, with `shop/ship` declared."""
    settings = {name.removeprefix("CELERIAC_").lower(): value for name, value in shell.settings.items()}
    rooms = build(Settings(**settings, _env_file=None))  # type: ignore[arg-type]
    ship = Declaration(app="shop", function_id="ship", triggers=("shop/order.placed",))
    rooms.store.declare("shop", [ship], [])
    yield rooms
    rooms.close()


@pytest.fixture
def tenants(rooms: Installation) -> tuple[str, str]:
    """Two tenants, of which the first has two runs and the second one."""
    made = tuple(rooms.tenants.create(name).id for name in ("Acme", "Borealis"))
    for tenant in (made[0], made[0], made[1]):
        rooms.store.ingest(tenant, [Event("shop/order.placed", {"order_id": 1})])
    return made[0], made[1]


def test_a_tenants_usage_is_a_table(shell: Shell, tenants: tuple[str, str]) -> None:
    shown = shell.run("tenants", "usage", tenants[0], "--by", "function").stdout
    assert "FUNCTION" in shown and "shop/ship" in shown


def test_all_tenants_are_told_apart(shell: Shell, tenants: tuple[str, str]) -> None:
    told = shell.json("usage", "--all", "--by", "total", "--json")
    assert {row["tenant_id"]: row["runs"] for row in told["data"]} == dict(zip(tenants, (2, 1), strict=True))
    assert told["total"]["runs"] == 3


def test_usage_is_written_as_csv(shell: Shell, tenants: tuple[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(shell.run("usage", tenants[1], "--csv").stdout)))
    assert [(row["function"], row["runs"]) for row in rows] == [("", "0"), ("shop/ship", "1")]


def test_it_has_to_be_said_whose_usage_is_meant(shell: Shell) -> None:
    refused = shell.run("usage", "--by", "model")
    assert refused.returncode == 2 and "celeriac usage TENANT, or --all" in refused.stderr
