"""Plays: faults strike a real fleet under load, and nothing that was promised breaks. `make chaos` plays more of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from celeriac.chaos.servers import find_postgres
from celeriac.database import connect, single
from celeriac.errors import StoreUnavailable
from fleet.worker_fleet import TESTS, Fleet
from waiting import wait_until

#: workers, Redis and a database are started, and everything that was accepted may take a minute to end
LONGEST_PLAY = 240


def start(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a play whose report is printed as JSON."""
    command = [sys.executable, "-m", "celeriac", "chaos", *arguments, "--json"]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(play: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of the play and return its report with the exit code."""
    told, said = play.communicate(timeout=LONGEST_PLAY)
    assert told, said
    report: dict[str, Any] = json.loads(told)
    return {**report, "exit_code": play.returncode}


def broken(report: Mapping[str, Any]) -> list[Any]:
    """Return what was broken, with the first breaches."""
    return [one for one in report["invariants"] if one["verdict"] == "broken"]


def struck(report: Mapping[str, Any]) -> Sequence[str]:
    """Return the faults of the play."""
    return [f"{fault['code']}:{fault['way']}" for fault in report["faults"]]


def test_a_play_on_postgres_holds() -> None:
    """All workers die at once, Redis is lost, messages are lost and doubled, steps kill their workers."""
    if find_postgres() is None:
        pytest.skip("There is no Postgres on this machine")
    report = end(start("--seed", "27", "--seconds", "30"))
    assert broken(report) == []
    assert {"F1:killed-all", "F4:killed", "F6:cut-off", "F8:doubled", "F9:lost", "F14:deadly"} <= set(struck(report))
    assert report["counts"]["deaths"] >= 4
    assert (report["ok"], report["exit_code"], report["database"]) == (True, 0, "private postgres")


def test_a_play_on_sqlite_holds() -> None:
    """A worker stands still and another one is killed, Redis is lost, all are rolled."""
    report = end(start("--seed", "1", "--seconds", "30", "--database-url", "sqlite"))
    assert broken(report) == []
    assert {"F1:killed", "F2:rolled-all", "F3:stopped", "F4:killed"} <= set(struck(report))
    assert report["counts"]["runs"] >= 100
    assert (report["ok"], report["exit_code"], report["database"]) == (True, 0, "sqlite")


def test_a_result_that_somebody_changes_is_told_by_the_exit_code(tmp_path: Path) -> None:
    """The test is the saboteur: it writes into a committed step while the play goes on."""
    url = f"sqlite:///{tmp_path / 'play.db'}"
    play = start("--seconds", "5", "--faults", "F10:stray", "--database-url", url, "--keep", str(tmp_path / "kept"))
    engine = connect(url)

    def sabotage() -> int:
        try:
            with single(engine) as connection:
                step = "(SELECT rowid FROM steps WHERE kind = 'run' LIMIT 1)"
                return connection.exec_driver_sql(f"UPDATE steps SET input = '1' WHERE rowid = {step}").rowcount
        except StoreUnavailable:  # the play has made no tables yet
            return 0

    wait_until(sabotage, 60, "a step to be committed")
    engine.dispose()
    report = end(play)
    assert [one["id"] for one in broken(report)] == ["I3"]
    assert (report["ok"], report["exit_code"]) == (False, 1)
    assert (tmp_path / "kept" / "seed-1" / "report.json").exists()


def test_a_play_on_somebody_elses_installation_is_gentle(tmp_path: Path) -> None:
    """Its workers run the functions of the play beside their own, and nobody ends or waits for ever."""
    with Fleet(tmp_path, app="chaos.staging:app") as fleet:
        workers = fleet.start_two()
        report = end(start("--here", "--seconds", "5", env=fleet.env))
        assert broken(report) == []
        assert {fault.partition(":")[0] for fault in struck(report)} <= {"F8", "F10", "F15"}
        assert all(worker.is_running for worker in workers)
        assert fleet.count("ended_at IS NULL") == 0


def test_an_installation_without_the_functions_is_not_played_on(tmp_path: Path) -> None:
    """The message says what to write."""
    with Fleet(tmp_path) as fleet:
        fleet.start()
        play = start("--here", "--seconds", "5", env=fleet.env)
        said = play.communicate(timeout=LONGEST_PLAY)[1]
    assert (play.returncode, "app.include(chaos_app)" in said) == (1, True)


def test_a_database_that_somebody_uses_is_not_played_on(tmp_path: Path) -> None:
    """A play breaks what it uses."""
    with Fleet(tmp_path) as fleet:
        fleet.start()
        fleet.send(fleet.tenant(), "fleet/counted", n=1, steps=1)
        play = start("--seconds", "5", "--database-url", fleet.database_url)
        said = play.communicate(timeout=LONGEST_PLAY)[1]
    assert (play.returncode, "--here" in said) == (1, True)


def test_only_named_workers_of_this_installation_are_killed(tmp_path: Path) -> None:
    """Not the process with the number one."""
    with Fleet(tmp_path, app="chaos.staging:app") as fleet:
        fleet.start()
        play = start("--here", "--kill", "1", "--seconds", "5", env=fleet.env)
        said = play.communicate(timeout=LONGEST_PLAY)[1]
    assert (play.returncode, "Process 1 is no worker" in said) == (1, True)
