"""The benchmarks run, and count truthfully; how fast anything is, no test says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.cpu import cpu_seconds
from benchmarks.recovery import committed_again
from benchmarks.servers import ROOT


def quickly(case: str) -> Mapping[str, Any]:
    """Measure a small part of a case on SQLite, as `make bench` would."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--db", "sqlite", "--case", case]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    figures: Mapping[str, Any] = json.loads(line)
    return figures


@pytest.mark.parametrize(
    ("case", "keys"),
    [("steps", {"p50_ms", "cpu_ms", "seconds"}), ("latency", {"p50_ms", "p95_ms"})],
)
def test_a_case_is_one_line_of_json(case: str, keys: set[str]) -> None:
    """With the keys that scripts read, each a figure above zero."""
    figures = quickly(case)
    assert (figures["system"], figures["case"], figures["db"]) == ("celeriac", case, "sqlite")
    assert keys <= set(figures)
    assert all(figures[key] > 0 for key in keys - {"cpu_ms"})


def test_all_runs_end_when_workers_are_killed() -> None:
    """And no step whose result was committed runs again."""
    figures = quickly("recovery")
    assert figures["completed"] == figures["runs"] == 10
    assert figures["committed_steps_again"] == 0


def test_the_deletion_of_old_runs_is_measured_beside_starts() -> None:
    """Something is deleted in its windows."""
    command = [sys.executable, "-m", "benchmarks.retention", "--db", "sqlite"]
    command += ["--runs", "10000", "--rounds", "1", "--seconds", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["deleted_runs"] > 0
    assert figures["p95_ms"] > 0 and figures["deleting_p95_ms"] > 0


def test_a_committed_step_that_ran_again_is_counted() -> None:
    """Only that one: a body that was cut off before its commit may run again."""
    bodies = ["run_1 step-0 10", "run_1 step-0 30", "run_1 step-1 40", "run_1 step-1 41"]
    assert committed_again(bodies, {("run_1", "step-0"): 20, ("run_1", "step-1"): 50}) == 1


def test_the_cpu_of_children_counts_also_when_they_have_ended() -> None:
    """And not where a tree is left out."""
    before = cpu_seconds({os.getpid()})
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert cpu_seconds({os.getpid()}) > before + 0.05
    assert cpu_seconds({os.getpid()}, without={os.getpid()}) == 0
