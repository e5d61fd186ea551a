"""Tenants, their limits and plans on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from celeriac.cli.root import main
from celeriac.database import migrate
from celeriac.settings import load_settings
from celeriac.wiring import installation
from web.bank_runs import Desk

on_both_databases = pytest.mark.parametrize("shell", ["sqlite", "postgres"], indirect=True)


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Runs commands in this process, as each in one of its own takes a second."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> Done:
        """Run one command."""
        code = main(arguments)
        printed = self._capsys.readouterr()
        return Done(code, printed.out, printed.err)

    def json(self, *arguments: str) -> Any:
        """Run one command that succeeds and return the JSON that it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shell(
    request: pytest.FixtureRequest,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    """A migrated installation, which is this process's; on SQLite where a test says nothing else."""
    url = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    migrate(url)
    monkeypatch.setenv("CELERIAC_DATABASE_URL", url)
    monkeypatch.setenv("CELERIAC_REDIS_URL", redis_url)
    caches = (load_settings, installation)
    for cached in caches:
        cached.cache_clear()
    yield Shell(capsys)
    installation().close()
    for cached in caches:
        cached.cache_clear()


def test_any_limit_is_set_and_unset(shell: Shell, tenant: str) -> None:
    """`none` is no limit, and what is unset is the plan's again."""
    shell.json("plans", "set", "small", "--set", "queued_runs=50", "--set", "cost_usd_per_day=5", "--json")
    shell.json("tenants", "limits", tenant, "--plan", "small", "--set", "cost_usd_per_day=none", "--json")
    limits = shell.json("tenants", "limits", tenant, "--set", "weight=2.5", "--json")
    assert (limits["queued_runs"], limits["cost_usd_per_day"], limits["weight"]) == (50, None, 2.5)
    limits = shell.json("tenants", "limits", tenant, "--unset", "cost_usd_per_day", "--json")
    assert limits["cost_usd_per_day"] == 5


def test_people_see_where_a_limit_comes_from(shell: Shell, tenant: str) -> None:
    """From the tenant itself, its plan, or the defaults."""
    shell.run("plans", "set", "small", "--set", "running=5")
    table = shell.run("tenants", "limits", tenant, "--plan", "small", "--set", "weight=2").stdout
    lines = {line.split()[0]: line.split()[1:4] for line in table.splitlines()[1:]}
    assert lines["running"][:3] == ["5", "plan", "small"]
    assert (lines["weight"][:2], lines["starts_burst"][:2]) == (["2", "tenant"], ["5,000", "default"])


def test_a_limit_that_cannot_be_is_refused_in_one_line(shell: Shell, tenant: str) -> None:
    """With the likely name, or what would fit."""
    misspelt = shell.run("tenants", "limits", tenant, "--set", "runing=5")
    wrong = shell.run("tenants", "limits", tenant, "--set", "weight=0")
    assert (misspelt.returncode, wrong.returncode) == (1, 1)
    assert "did you mean 'running'?" in misspelt.stderr
    assert "give a number above zero" in wrong.stderr


def test_a_plan_that_tenants_have_stays(shell: Shell, tenant: str) -> None:
    """It is removed once nobody has it."""
    shell.run("plans", "set", "small", "--set", "running=5")
    shell.run("tenants", "limits", tenant, "--plan", "small")
    assert "1 tenants have the plan" in shell.run("plans", "rm", "small").stderr
    shell.run("tenants", "limits", tenant, "--plan", "none")
    assert shell.json("plans", "rm", "small", "--json") == {"name": "small", "removed": True}
    assert shell.json("plans", "ls", "--json") == {"data": []}


def test_a_tenant_is_paused_and_resumed(shell: Shell, tenant: str) -> None:
    """Both are seen in what is printed."""
    assert shell.json("tenants", "pause", tenant, "--json")["paused_at"] is not None
    assert "(paused)" in shell.run("tenants", "ls").stdout
    assert shell.json("tenants", "resume", tenant, "--json")["paused_at"] is None


@on_both_databases
def test_the_busiest_tenants_are_shown(shell: Shell, tenant: str) -> None:
    """Of all tenants, on Postgres across the wall between them, by what is asked for."""
    other = str(shell.json("tenants", "create", "Alder", "--json")["id"])
    desk, others = (Desk(installation().store, one).open() for one in (tenant, other))
    desk.started()
    desk.waiting()
    others.ticket()
    others.ticket()
    rows = {row["id"]: row for row in shell.json("tenants", "top", "--json")["data"]}
    counts = {id: (row["running"], row["queued"], row["parked"]) for id, row in rows.items()}
    assert counts == {tenant: (1, 0, 1), other: (0, 2, 0)}
    assert [row["id"] for row in shell.json("tenants", "top", "--by", "queued", "--json")["data"]] == [other, tenant]


@on_both_databases
def test_who_has_spent_most_is_shown(shell: Shell, tenant: str) -> None:
    Desk(installation().store, tenant).open().completed()
    [row] = shell.json("tenants", "top", "--by", "spent", "--json")["data"]
    assert (row["id"], row["running"], row["spent_today_usd"]) == (tenant, 0, pytest.approx(3 * 0.00042))


@on_both_databases
def test_a_tenant_that_does_nothing_is_not_shown(shell: Shell, tenant: str) -> None:
    """Only those that have anything to show."""
    assert shell.json("tenants", "top", "--json") == {"data": []}
