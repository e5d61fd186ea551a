"""The whole demo as a process tree: 200 real questions, one killed worker, and what was counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from celeriac.database import connect, reading
from examples.bank_support.ledger import Ledger
from examples.bank_support.repeats import body_starts, model_starts, repeats

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Played:
    """A demo that has ended."""

    code: int
    figures: dict[str, Any]
    told: str
    folder: Path
    ledger: Ledger


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """`celeriac dev --demo --exit`, once for all tests of this file."""
    data = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "celeriac", "dev", "--demo", "--exit", "--data-dir", str(data)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CELERIAC_", "BANK_SUPPORT_"))}
    done = subprocess.run(command, cwd=ROOT, env=ours, capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    database = f"sqlite:///{data / 'demo' / 'celeriac.db'}"
    ledger = Ledger(database, tenants_of(database))
    yield Played(
        code=done.returncode,
        figures=json.loads(done.stdout.splitlines()[-1]),
        told=done.stderr,
        folder=data / "demo",
        ledger=ledger,
    )
    ledger.close()


def tenants_of(database_url: str) -> list[str]:
    engine = connect(database_url)
    with reading(engine) as connection:
        found = list(connection.execute(text("SELECT id FROM tenants")).scalars())
    engine.dispose()
    return found


def test_every_ticket_is_answered_and_remembered(played: Played) -> None:
    """Three model calls a ticket and one more where a person decides; all but a customer's first are remembered."""
    figures = played.figures
    assert played.code == 0, played.told
    assert (figures["tickets"], figures["completed"], figures["failed"]) == (200, 200, 0)
    assert (figures["approvals"], figures["denied"]) == (7, 3)
    assert figures["model_calls"] == figures["tool_calls"] == 3 * 200 + 7
    assert (figures["memories"], figures["recalled"]) == (200, 200 - 60)
    assert figures["accuracy"] == 0.86


def test_the_killed_workers_runs_are_taken_over_and_nothing_is_repeated(played: Played) -> None:
    """It was busy when it died."""
    assert played.figures["workers_killed"] == 1 and "kill -9" in played.told
    assert played.figures["runs_recovered"] > 0
    assert played.figures["committed_steps_repeated"] == 0


def test_a_repeat_planted_into_the_logs_of_the_demo_is_counted_as_one(played: Played) -> None:
    """Every start in them belongs to a step in SQL, so the zero above means something."""
    log, commits = played.folder / "model_requests.jsonl", played.ledger.commits()
    starts = [*body_starts(played.folder / "bodies.jsonl"), *model_starts(log)]
    assert len(starts) > 1600 and all((start.run, start.path) in commits for start in starts)
    again = {**json.loads(log.read_text().splitlines()[0]), "started": time.time()}
    with log.open("a") as file:
        file.write(json.dumps(again) + "\n")
    assert len(repeats(model_starts(log), commits)) == 1
