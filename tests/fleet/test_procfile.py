"""Each line of the Procfile, started as it is written: a ticket runs through, with and without the memory worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celeriac.testing.model_server import ModelServer
from examples.bank_support.desk_model import respond
from fleet.worker_fleet import Fleet, WorkerHandle
from services import free_port
from waiting import wait_until

ROOT = Path(__file__).parents[2]
LINES = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
MEMORIES = "function_id = 'memory-create'"


class Desk:
    """The example as it is deployed: one process a line of the Procfile, spoken to over HTTP."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.url = f"http://127.0.0.1:{fleet.env['PORT']}"
        self.tenant = fleet.tenant("Northwind Bank")
        _, self._event_key = fleet.rooms.keys.create(self.tenant, "event")
        _, self._api_key = fleet.rooms.keys.create(self.tenant, "api")

    def start(self, line: str) -> WorkerHandle:
        """Start a line as a shell reads it."""
        return self.fleet.run_command(["sh", "-c", LINES[line]])

    def open_ticket(self, number: int) -> str:
        """Send a ticket with the event key and return the event's id."""
        data = {"ticket_id": f"T{number}", "customer_id": "nw-1001", "text": "My new card has not arrived"}
        answer = self._call(f"/e/{self._event_key}", {"name": "support/ticket.opened", "data": data})
        return str(answer["ids"][0])

    def runs_of(self, event_id: str) -> list[dict[str, Any]]:
        """Return the runs that an event started."""
        return list(self._call(f"/v1/events/{event_id}/runs")["data"])

    def solved(self, event_id: str) -> dict[str, Any]:
        """Wait for the end of a ticket's run and return it."""
        wait_until(lambda: [run["status"] for run in self.runs_of(event_id)] == ["completed"], 20, "the ticket")
        return self.runs_of(event_id)[0]

    def is_ready(self) -> bool:
        """Whether the web answers and has what it needs."""
        try:
            self._call("/readyz")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def _call(self, path: str, body: Any = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._api_key}"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=5) as answer:
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """All lines started, and the web ready."""
    env = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PORT": str(free_port()),
        "OPENAI_API_KEY": "offline",
        "ANTHROPIC_API_KEY": "offline",
    }
    with ModelServer(respond) as model:
        env |= {"OPENAI_BASE_URL": model.openai_base_url, "ANTHROPIC_BASE_URL": model.anthropic_base_url}
        with Fleet(tmp_path_factory.mktemp("desk"), app="examples.bank_support.app:app", **env) as fleet:
            desk = Desk(fleet)
            for line in ("web", "worker"):
                desk.start(line)
            wait_until(desk.is_ready, 20, "the web to be ready")
            wait_until(lambda: bool(fleet.sql("SELECT 1 FROM functions")), 20, "the worker to declare the app")
            yield desk


def test_there_is_a_line_for_each_kind_of_process() -> None:
    """Nothing more, nothing less."""
    assert list(LINES) == ["release", "web", "worker", "memory", "cpu"]


def test_the_release_line_makes_the_tables(desk: Desk, tmp_path: Path) -> None:
    """In a database that did not exist, and once more where they are."""
    env = {**desk.fleet.env, "CELERIAC_DATABASE_URL": f"sqlite:///{tmp_path / 'new' / 'desk.db'}"}
    for _ in range(2):
        subprocess.run(["sh", "-c", LINES["release"]], env=env, cwd=tmp_path, check=True, timeout=60)
    tables = subprocess.run(["sh", "-c", "celeriac tenants ls --json"], env=env, capture_output=True, timeout=60)
    assert json.loads(tables.stdout) == {"data": []}


def test_tickets_are_solved_while_the_memory_worker_is_stopped(desk: Desk) -> None:
    """Web and worker are enough; what is to be remembered waits in its queue."""
    run = desk.solved(desk.open_ticket(1))
    assert run["output"]["intent"] == "card_arrival"
    assert desk.fleet.count(f"{MEMORIES} AND status = 'queued'") == 1


def test_a_ticket_is_remembered_when_the_memory_worker_runs(desk: Desk) -> None:
    """What has waited, and what comes; each by the memory worker alone."""
    desk.start("memory")
    desk.solved(desk.open_ticket(2))
    remembered = lambda: desk.fleet.count(f"{MEMORIES} AND status = 'completed'")  # noqa: E731
    wait_until(lambda: remembered() == desk.fleet.count("function_id = 'solve-ticket'"), 20, "all memories")
    assert remembered() >= 1
