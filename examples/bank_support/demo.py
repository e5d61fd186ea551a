"""The demo: 200 real questions to two banks, answered by a fleet that loses a worker on the way.

`celeriac dev --demo` enters `environment` before it starts its processes, and calls `play` when they are up. What is
printed at the end is counted from SQL and from two append-only logs; nothing is assumed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

from celeriac.errors import ConfigError
from examples.bank_support.bank import Bank
from examples.bank_support.customers import BANKS, tickets
from examples.bank_support.effects import EFFECTS
from examples.bank_support.ledger import Ledger, TicketRun
from examples.bank_support.progress import Progress
from examples.bank_support.repeats import body_starts, model_starts, repeats
from examples.bank_support.shift import Shift, Stalled

if TYPE_CHECKING:
    from celeriac.cli.stage import Stage

#: what the workers run
APP = "examples.bank_support.app:app"

#: how many tickets, and which
TICKETS, SEED = 200, 7

_LATENCY_SECONDS, _START_SECONDS = 0.05, 30.0
_BODIES, _REQUESTS = "bodies.jsonl", "model_requests.jsonl"
_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def environment(folder: Path, model: str | None = None) -> Iterator[dict[str, str]]:
    """Yield what the processes need in their environment; the logs go into `folder`, anew.

    A model server answers for both providers until the end of the block, unless `model` (or BANK_SUPPORT_MODEL) names
    a real one. Raises `ConfigError` where that model's key is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for log in (_BODIES, _REQUESTS):
        (folder / log).unlink(missing_ok=True)
    logged = {EFFECTS: str((folder / _BODIES).absolute())}
    if model := model or os.environ.get("BANK_SUPPORT_MODEL"):
        _check_key(model)
        yield logged | {"BANK_SUPPORT_MODEL": model}
    else:
        with _model_server(folder / _REQUESTS) as addresses:
            yield logged | addresses


def play(stage: Stage) -> int:
    """Play the demo on a fleet that is up, print the figures as one JSON object, and return 0 if all went well."""
    began = time.monotonic()
    progress = Progress(is_terminal=stage.is_terminal)
    banks = {name: Bank.open(name, stage.installation, stage.base_url) for name in BANKS}
    for bank in banks.values():
        progress.note(f"{bank.name} is open; watch it at {stage.signin_link(bank.tenant_id)}")
    ledger = Ledger(stage.installation.settings.database_url, [bank.tenant_id for bank in banks.values()])
    shift = Shift(stage, banks, ledger, progress)
    try:
        shift.work(tickets(TICKETS, SEED))
    except Stalled as stalled:
        progress.note(stalled.message)
    finally:
        progress.end()
    counted = figures(shift, ledger, stage.data_dir) | {"seconds": round(time.monotonic() - began, 1)}
    ledger.close()
    sys.stdout.write(json.dumps(counted) + "\n")
    sys.stdout.flush()
    return 0 if counted["completed"] == TICKETS and not counted["committed_steps_repeated"] else 1


def figures(shift: Shift, ledger: Ledger, folder: Path) -> dict[str, Any]:
    """Count what came of a shift; `folder` holds the logs."""
    runs = ledger.tickets()
    answered = [run for run in runs if run.status == "completed"]
    decided = [run for run in answered if _block(run) in ("approved", "denied")]
    usage = ledger.usage()
    starts = [*body_starts(folder / _BODIES), *model_starts(folder / _REQUESTS)]
    return {
        "tickets": len(shift.opened),
        "completed": len(answered),
        "failed": sum(run.status in ("failed", "cancelled", "skipped") for run in runs),
        "accuracy": _accuracy(shift, answered),
        "model_calls": usage.model_calls,
        "tool_calls": usage.tool_calls,
        "approvals": len(decided),
        "denied": sum(_block(run) == "denied" for run in decided),
        "memories": ledger.memories(),
        "recalled": sum(run.recalled > 0 for run in runs),
        "workers_killed": len(shift.killed),
        "runs_recovered": sum(run.run_id in shift.interrupted for run in answered),
        "committed_steps_repeated": len(repeats(starts, ledger.commits())),
    }


def _accuracy(shift: Shift, answered: Sequence[TicketRun]) -> float:
    """The share of the answered tickets whose intent is the one that people gave the query."""
    hits = [(run.output or {}).get("intent") == shift.opened[run.event_id].intent for run in answered]
    return round(sum(hits) / len(hits), 2) if hits else 0.0


def _block(run: TicketRun) -> Any:
    return (run.output or {}).get("block")


def _check_key(model: str) -> None:
    key = f"{model.partition(':')[0].upper()}_API_KEY"
    if not os.environ.get(key):
        raise ConfigError(f"The model {model!r} needs {key} in the environment; without a model the demo works offline")


@contextmanager
def _model_server(log: Path) -> Iterator[dict[str, str]]:
    """Run the offline model as a process of its own; yield the addresses and keys for both SDKs."""
    from celeriac.cli.ports import free_port
    from celeriac.cli.supervisor import Program, Supervisor

    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "celeriac.testing.model_server", "examples.bank_support.desk_model:respond"]
    command += ["--port", url.rpartition(":")[2], "--latency", str(_LATENCY_SECONDS), "--log", str(log)]
    program = Program(name="model-server", command=tuple(command), environment={"PYTHONPATH": str(_ROOT)})
    with Supervisor(log.parent, tell=Progress(is_terminal=False).note) as supervisor:
        server = supervisor.run(program)
        _await_answer(f"{url}/_stats", log=server.log)
        yield {
            "OPENAI_BASE_URL": f"{url}/v1",
            "ANTHROPIC_BASE_URL": url,
            "OPENAI_API_KEY": "offline",
            "ANTHROPIC_API_KEY": "offline",
        }


def _await_answer(url: str, *, log: Path) -> None:
    opener = build_opener(ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            opener.open(url, timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConfigError(f"The model server does not answer; it wrote into {log}") from error
        time.sleep(0.05)
