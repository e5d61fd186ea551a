"""The case `recovery`: workers are killed with SIGKILL amid 100 runs, and the time until others go on is taken."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.fleet import Fleet
from benchmarks.servers import wait_for
from celeriac import Event
from celeriac.database import to_micros

STEPS = 10
WORKERS = 2


def recovery(fleet: Fleet, is_quick: bool) -> Mapping[str, Any]:
    """Kill all workers and start new ones at once; then kill one of two, whose neighbour goes on (`neighbour_…`)."""
    runs = 10 if is_quick else 100
    fleet.start_workers(WORKERS, 32)
    fleet.warm_up("bench/steps", {"count": 1}, runs=64)
    all_killed = _round(fleet, runs, victims=WORKERS)
    one_killed = _round(fleet, runs, victims=1)
    return {
        **all_killed,
        "neighbour_seconds": one_killed["seconds"],
        "neighbour_steps_again": one_killed["steps_again"],
        "committed_steps_again": all_killed["committed_steps_again"] + one_killed["committed_steps_again"],
    }


def _round(fleet: Fleet, runs: int, *, victims: int) -> dict[str, Any]:
    log = fleet.folder / f"effects-{victims}.txt"
    log.touch()
    event_ids = fleet.submit([Event("bench/effects", {"count": STEPS, "log": str(log)})] * runs)
    wait_for("40 % of the steps", lambda: len(_lines(log)) >= 0.4 * runs * STEPS)
    bodies = len(_lines(log))
    fleet.kill(victims)
    killed, began = fleet.rooms.store.now(), time.perf_counter()
    if not fleet.workers:
        fleet.start_workers(WORKERS, 32)
    ended = fleet.wait_for_all(every=0.02)
    states = Counter(run.status for id in event_ids for run in fleet.rooms.reads.event_runs(fleet.tenant_id, id))
    return {
        "seconds": _first_recovered(fleet, killed),
        "all_seconds": ended - began,
        "runs": states.total(),
        "completed": states["completed"],
        "bodies_at_kill": bodies,
        "steps_again": len(_lines(log)) - runs * STEPS,
        "committed_steps_again": committed_again(_lines(log), _committed(fleet)),
    }


def _first_recovered(fleet: Fleet, killed: datetime) -> float | None:
    """Return the seconds until the first claim of a run that had been claimed before the kill."""
    at = to_micros(killed)
    [[first]] = fleet.query("SELECT min(claimed_at) FROM runs WHERE links > 1 AND claimed_at > ?", at)
    return None if first is None else (first - at) / 1_000_000


def _committed(fleet: Fleet) -> dict[tuple[str, str], int]:
    return {(row[0], row[1]): row[2] for row in fleet.query("SELECT run_id, path, committed_at FROM steps")}


def committed_again(bodies: Iterable[str], committed: Mapping[tuple[str, str], int]) -> int:
    """Count the bodies that began after the result of their step had been committed; times are microseconds.

    A body is a line `<run> <path> <time of its beginning>`.
    """
    return sum(int(began) > committed[run_id, path] for run_id, path, began in map(str.split, bodies))


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines()
