"""The peers are measured by the same yardstick, and none is dropped in silence; how fast one is, no test says."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.catalogue import CASES, NOT_MEASURED, PEERS, Environment, Peer
from benchmarks.peers.environments import Environments, NotInstalledError
from benchmarks.peers.table import markdown
from benchmarks.servers import ROOT

PROGRAMS = ROOT / "benchmarks" / "peers" / "programs"


def quickly(*options: str) -> subprocess.CompletedProcess[str]:
    """Measure a small part, as `make bench-peers` would."""
    command = [sys.executable, "-m", "benchmarks.peers", "--quick", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def record(peer: Peer, case: str, **figures: Any) -> Mapping[str, Any]:
    """Make a line as one measurement prints it."""
    return {"system": peer.name, "case": case, "db": peer.db, **figures, "load": 0.1}


def named(name: str) -> Peer:
    """Find a peer of the catalogue."""
    return next(peer for peer in PEERS if peer.name == name)


def test_a_peer_is_measured_for_real() -> None:
    """Chains of Celery need nothing that is not here: lines of JSON, then the table."""
    done = quickly("--peers", "celery", "--cases", "throughput,latency")
    assert done.returncode == 0, done.stderr
    first, second, empty, heading, _, row = done.stdout.splitlines()[:6]
    assert json.loads(first)["case"] == "throughput"
    assert json.loads(first)["steps_per_s"] > 0
    assert json.loads(second)["p50_ms"] > 0
    assert empty == ""
    assert heading.startswith("| system | steps/s |")
    assert row.startswith(f"| {named('celery').title} |")


def test_an_unknown_peer_is_refused_by_name() -> None:
    """And the message lists those that there are."""
    done = quickly("--peers", "cellery")
    assert done.returncode == 2
    assert "There is no cellery; there are: celeriac," in done.stderr


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """Once and for all: the second ask does not try again."""
    (tmp_path / "file").touch()
    environments = Environments(home=tmp_path / "file")
    needed = Environment(name="needed", python=("six",))
    with pytest.raises(NotInstalledError, match="cannot be installed here") as first:
        environments.get(needed)
    with pytest.raises(NotInstalledError) as second:
        environments.get(needed)
    assert second.value is first.value


def test_the_table_has_medians_and_names_every_gap() -> None:
    """A peer that failed, one whose runs never ended, and those that cannot be had at all."""
    dbos, celery = named("dbos"), named("celery")
    speeds = [record(celery, "throughput", steps_per_s=one, cpu_ms=1.0) for one in (100, 900, 500)]
    stuck = record(celery, "recovery", all_seconds=None, runs=100, completed=98, steps_again=3)
    failed = record(dbos, "throughput", error="cannot be installed here: no pip")
    text = markdown([*speeds, stuck, failed], PEERS)
    assert f"| {celery.title} | 500 | 1.00 | never | 3 |" in text
    assert f"| {dbos.title} | failed | failed | – | – |" in text
    assert f"- {dbos.title} (throughput): cannot be installed here: no pip" in text
    assert f"- {celery.title}: only 98 of 100 runs ended after the kill" in text
    assert all(name in text for name in NOT_MEASURED)


def test_celeriac_has_a_row_for_each_way_of_submitting() -> None:
    """One by one, and in one request."""
    figures = {"steps_per_s": 1000.0, "cpu_ms": 0.5, "batch_steps_per_s": 2000.0, "batch_cpu_ms": 0.25}
    text = markdown([record(named("celeriac"), "throughput", **figures)], PEERS)
    assert "| 1,000 | 0.50 |" in text
    assert "| Celeriac, one request | 2,000 | 0.25 |" in text


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.programs], ids=lambda peer: peer.name)
def test_a_peer_has_a_program_for_its_cases(peer: Peer) -> None:
    """And it can be imported where only the peer is: beside the peers' own libraries it has nothing of ours."""
    assert set(peer.programs) <= set(CASES)
    for program in peer.programs.values():
        tree = ast.parse((PROGRAMS / f"{program}.py").read_text())
        ours = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        ours = [module for module in ours if module.partition(".")[0] in ("benchmarks", "celeriac")]
        assert all(module.startswith("benchmarks.peers.programs.") for module in ours)
