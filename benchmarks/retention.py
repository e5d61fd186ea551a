"""`python -m benchmarks.retention`: how much later runs start while 100,000 old ones are deleted; prints a JSON line.

The workers delete in one window and keep everything in the next, so that what else happens on the machine disturbs
both alike. Not a part of `make bench`, as the rows have to be made first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fleet import Db, Fleet, Servers, fleet_on
from benchmarks.servers import running_postgres, running_redis
from celeriac import Event
from celeriac.database import to_micros, transaction

STEPS = 5

#: seconds between two submits
EVERY = 0.05

_NUMBERS = {
    "sqlite": "WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {runs}) ",
    "postgresql": "WITH g (n) AS (SELECT generate_series(1, {runs})) ",
}

_EVENTS = """
INSERT INTO events (id, tenant_id, name, data, ts, received_at, matched_at)
{numbers}SELECT 'evt_{kind}' || n, '{tenant}', '{name}', '{{"count": 5, "text": "{text}"}}', {at}, {at}, {at} FROM g"""

_RUNS = """
INSERT INTO runs (id, tenant_id, app, function_id, version, queue, event_id, status, output, steps, links,
                  created_at, queued_at, started_at, ended_at)
{numbers}SELECT 'run_old' || n, '{tenant}', 'bench', 'steps', '', 'runs', 'evt_in' || n, 'completed', '{{}}', {steps},
    1, {at}, {at}, {at}, {at} FROM g"""

_STEP = """
INSERT INTO steps (run_id, path, tenant_id, seq, kind, value, attempt, started_at, ended_at, committed_at, commit_id)
{numbers}SELECT 'run_old' || n, 'step-{number}', '{tenant}', {number}, 'run', '{{"ok": true, "text": "{text}"}}', 1,
    {at}, {at}, {at}, 'c' FROM g"""


@dataclass
class Window:
    """The latencies of one kind of window, in milliseconds, and what was deleted meanwhile."""

    latencies: list[float] = field(default_factory=list)
    deleted: int = 0
    seconds: float = 0.0


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention")
    parser.add_argument("--db", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--runs", type=int, default=100_000, help="how many old runs there are")
    parser.add_argument("--rounds", type=int, default=5, help="how often both kinds of window come")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a window is")
    options = parser.parse_args()
    db: Db = options.db
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-bench-")))
        redis_url = stack.enter_context(running_redis(folder))
        postgres_url = stack.enter_context(running_postgres()) if db == "postgres" else None
        servers = Servers(folder=folder, redis_url=redis_url, postgres_url=postgres_url)
        fleet = stack.enter_context(fleet_on(db, servers))
        figures = measure(fleet, options.runs, options.rounds, options.seconds)
    print(json.dumps({"system": "celeriac", "case": "retention", "db": db, **figures}))


def measure(fleet: Fleet, runs: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure windows with and without deletion in turn; return the figures."""
    fill(fleet, runs)
    kept, deleting = Window(), Window()
    for number in range(rounds):
        for days, window in ((0, kept), (30, deleting)):
            _play(fleet, window, days, seconds)
        print(f"round {number + 1}: {left(fleet)} old runs are left", file=sys.stderr, flush=True)
    p95, p95_deleting = (statistics.quantiles(one.latencies, n=20)[-1] for one in (kept, deleting))
    return {
        "runs": runs,
        "p50_ms": round(statistics.median(kept.latencies), 2),
        "p95_ms": round(p95, 2),
        "deleting_p50_ms": round(statistics.median(deleting.latencies), 2),
        "deleting_p95_ms": round(p95_deleting, 2),
        "p95_ratio": round(p95_deleting / p95, 3),
        "deleted_runs": deleting.deleted,
        "deleted_runs_per_s": round(deleting.deleted / deleting.seconds, 1),
        "starts": len(kept.latencies) + len(deleting.latencies),
    }


def fill(fleet: Fleet, runs: int) -> None:
    """Insert runs that ended two months ago, with their steps, their events and those of their endings."""
    dialect, now = fleet.engine.dialect.name, fleet.rooms.store.now()
    first = to_micros(now) - 60 * 86_400_000_000
    given = {
        "numbers": _NUMBERS[dialect].format(runs=runs),
        "tenant": fleet.tenant_id,
        "at": f"{first} + CAST(n AS BIGINT) * 1000",
        "text": "x" * 200,
    }
    statements = [
        _EVENTS.format(kind="in", name="bench/steps", **given),
        _EVENTS.format(kind="out", name="celeriac/run.finished", **given),
        _RUNS.format(steps=STEPS, **given),
        *(_STEP.format(number=number, **given) for number in range(1, STEPS + 1)),
    ]
    with transaction(fleet.engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("ANALYZE")


def left(fleet: Fleet) -> int:
    """Return how many of the old runs are there."""
    return int(fleet.query("SELECT count(*) FROM runs WHERE id LIKE 'run_old%%'")[0][0])


def _play(fleet: Fleet, window: Window, days: int, seconds: float) -> None:
    # What is deleted is counted from the start of the workers on: they begin at once, and go on in parts.
    before, started = left(fleet), time.perf_counter()
    fleet.start_workers(2, 16, CELERIAC_RETENTION_DAYS=str(days))
    fleet.warm_up("bench/steps", {"count": 1}, runs=32)
    began = time.perf_counter()
    sent: list[tuple[str, float]] = []
    while time.perf_counter() - began < seconds:
        at = time.time()
        [event_id] = fleet.submit([Event("bench/steps", {"count": 1})])
        sent.append((event_id, at))
        time.sleep(EVERY)
    window.seconds += time.perf_counter() - started
    window.deleted += before - left(fleet)
    fleet.wait_for_all()
    window.latencies += _latencies(fleet, sent)
    fleet.stop()


def _latencies(fleet: Fleet, sent: Sequence[tuple[str, float]]) -> list[float]:
    """Return how many milliseconds passed from before each submit until its run was claimed."""
    began = min(at for _, at in sent) - 60
    rows = fleet.query("SELECT event_id, started_at FROM runs WHERE created_at > ?", int(began * 1_000_000))
    started = {row[0]: row[1] for row in rows}
    return [started[event_id] / 1000 - at * 1000 for event_id, at in sent]


if __name__ == "__main__":
    main()
