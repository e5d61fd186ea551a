"""Usage after a run with killed workers: what the model server answered and a worker committed, each call once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from celeriac.platform.durable.usage import UsageRow
from celeriac.testing.model_server import ModelServer, WireReply, WireRequest
from fleet.asking import MODELS
from fleet.worker_fleet import Fleet
from services import fresh_database
from waiting import wait_until

RUNS, ROUNDS = 12, 4


def respond(request: WireRequest) -> WireReply:
    """Answer in a few words."""
    return WireReply(text="I would have to think about it.")


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """The log of the model server."""
    return tmp_path / "requests.jsonl"


@pytest.fixture
def fleet(tmp_path: Path, postgres_server: str, requests: Path) -> Iterator[Fleet]:
    """Two workers on Postgres before a model server that takes its time."""
    with fresh_database(postgres_server) as url, ModelServer(respond, latency=0.05, log=requests) as server:
        env = {"OPENAI_BASE_URL": server.openai_base_url, "OPENAI_API_KEY": "offline"}
        with Fleet(tmp_path, url, app="fleet.asking:app", **env) as fleet:
            yield fleet


def answered(requests: Path) -> list[str]:
    """Return the calls that were answered, each as its model, its run and its step."""
    lines = [json.loads(line) for line in requests.read_text().splitlines()] if requests.exists() else []
    return [f"openai:{line['model']} {line['key']}" for line in lines if line["status"] == 200]


def kill_with_an_answer(fleet: Fleet, requests: Path, after: int) -> None:
    """Kill a worker that has an answer and has not committed it, and start another one."""
    wait_until(lambda: len(answered(requests)) >= after, 30, f"{after} calls to be answered")
    trap = fleet.folder / "trap"
    trap.touch()
    wait_until(lambda: not trap.exists(), 30, "a worker to die")
    fleet.launch()


def used_by(fleet: Fleet, tenant_id: str) -> dict[str | None, UsageRow]:
    """Return what the tenant used, by model."""
    usages, days = fleet.rooms.usages, timedelta(days=1)
    return {row.model: row for row in usages.usage(tenant_id, usages.today() - days, usages.today(), by=("model",))}


def test_usage_equals_the_log_of_committed_calls(fleet: Fleet, requests: Path) -> None:
    """And the calls that were answered in vain, because their worker died before the commit, are not in it."""
    tenant_id = fleet.tenant()
    fleet.start_two()
    fleet.send_all(tenant_id, "asking/begun", [{"n": n, "rounds": ROUNDS} for n in range(RUNS)])
    for after in (15, 40):
        kill_with_an_answer(fleet, requests, after)
    fleet.wait_for_all(60)
    committed = {f"{run} {path}" for run, path in fleet.sql("SELECT run_id, path FROM steps WHERE kind = 'model'")}
    log = answered(requests)
    once = Counter(call.split(" ", 1)[0] for call in set(log) if call.split(" ", 1)[1] in committed)
    assert len(log) >= len(committed) + 2, "answers died with their workers"
    used = used_by(fleet, tenant_id)
    assert {model: used[model].model_calls for model in MODELS} == once == dict.fromkeys(MODELS, RUNS * ROUNDS)
    assert used[""].runs == RUNS and used[""].links == fleet.sql("SELECT sum(links) FROM runs")[0][0] > RUNS
    told = fleet.sql("SELECT value FROM steps WHERE kind = 'model'")
    tokens = sum(json.loads(value)["usage"]["input_tokens"] for (value,) in told)
    assert sum(used[model].input_tokens for model in MODELS) == tokens > 0
