"""The referee sees a body that ran once too often, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from celeriac.testing import Harness
from celeriac.testing.model_server import ModelServer
from examples.bank_support.app import app
from examples.bank_support.effects import EFFECTS
from examples.bank_support.repeats import Start, body_starts, model_starts, repeats

TURN = "network:support-desk/turn:1"
COMMITS = {("run_1", f"{TURN}/infer"): 10.0, ("run_1", TURN): 11.0}


def start(at: float, path: str = f"{TURN}/infer", run: str = "run_1") -> Start:
    return Start(run=run, path=path, body="b", at=at)


@pytest.mark.parametrize(
    ("started", "is_repeat"),
    [
        (start(9.0), False),
        (start(10.0), False),
        (start(10.1), True),
        (start(10.1, run="run_2"), False),
        (start(10.5, path=f"{TURN}/tool:1:classify"), False),
        (start(11.5, path=f"{TURN}/tool:1:classify"), True),
    ],
)
def test_only_what_starts_after_its_commit_is_a_repeat(started: Start, is_repeat: bool) -> None:
    """Its own commit, or that of the turn around it; a second start before the commit is what a crash may cost."""
    assert repeats([started], COMMITS) == ([started] if is_repeat else [])


async def test_one_planted_repeat_is_counted_as_one(
    model_server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the real logs of a real ticket, of a body and of a model call."""
    bodies, requests = tmp_path / "effects.jsonl", tmp_path / "requests.jsonl"
    monkeypatch.setenv(EFFECTS, str(bodies))
    async with Harness(app) as h:
        [run] = await h.send("support/ticket.opened", {"ticket_id": "T1", "customer_id": "nw-1001", "text": "my pin"})
        now = max(json.loads(line)["at"] for line in bodies.read_text().splitlines())
        commits = {(run.id, step.path): now + 1 for step in h.steps(run.id)}
    for log, count in ((bodies, body_starts), (requests, model_starts)):
        assert repeats(count(log), commits) == []
        plant_a_repeat(log, at=now + 2)
        [found] = repeats(count(log), commits)
        assert found.run == run.id


def plant_a_repeat(log: Path, *, at: float) -> None:
    """Append the log's last line once more, as of `at`."""
    last = json.loads(log.read_text().splitlines()[-1])
    with log.open("a") as file:
        file.write(json.dumps({**last, "at": at, "started": at}) + "\n")


def test_a_refused_model_call_is_no_repeat(tmp_path: Path) -> None:
    """Nobody paid for it; and without a log nothing started."""
    log = tmp_path / "requests.jsonl"
    log.write_text(json.dumps({"status": 529, "key": "run_1 a", "started": 1.0, "model": "m"}) + "\n")
    assert list(model_starts(log)) == list(body_starts(tmp_path / "none.jsonl")) == []
