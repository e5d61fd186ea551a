"""The yardstick: what is done and measured, the same for every peer. `docs/benchmarks.md` says what the figures mean.

A program hands `measure` its peer; this module drives it, and prints the figures as the last line of the program.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from benchmarks.cpu import cpu_seconds
from benchmarks.peers.programs.effects import STEPS, effects

#: the last line that a program prints begins with this word
FIGURES = "FIGURES "
#: between two runs of a sender who is no burst
PAUSE_SECONDS = 0.02
#: after this time without any progress nothing more is expected of runs that a crash has interrupted
STANDSTILL_SECONDS = 40.0
RECOVERY_SECONDS = 120.0


class Peer(Protocol):
    """A peer that is up and can run durable steps."""

    def steps(self, count: int) -> float:
        """Run trivial steps one after the other in one run; return the seconds of each, within the run where it can."""

    def burst(self, runs: int, steps: int) -> None:
        """Submit runs of trivial steps at once, and return when the last has ended."""


class Mortal(Protocol):
    """A peer whose workers can be killed; its runs make `effects`."""

    def submit(self, runs: int) -> None:
        """Start the workers and submit the runs."""

    def kill(self) -> None:
        """Kill all workers with SIGKILL."""

    def restart(self) -> None:
        """Start workers again, and whatever else this peer's users do after a crash."""

    def ended(self) -> int:
        """Count the runs that have completed."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is done: as much as for Celeriac itself (`benchmarks/cases.py`), but for the slow senders' `singles`."""

    count: int = 100
    alone: int = 10
    burst: int = 300
    rounds: int = 3
    warm: int = 128
    singles: int = 50
    killed: int = 100


QUICK = Work(count=20, alone=2, burst=30, rounds=1, warm=10, singles=5, killed=10)

Opening = Callable[[], AbstractContextManager[Any]]


class Meter:
    """Takes the seconds, and the CPU seconds of this program, its children and its servers, of a `with` block."""

    seconds: float
    cpu: float

    def __init__(self) -> None:
        """Know whose CPU time counts."""
        servers = os.environ.get("BENCH_SERVERS", "")
        self._roots = {os.getpid(), *(int(pid) for pid in servers.split(",") if pid)}

    def __enter__(self) -> Self:
        """Begin."""
        self.cpu, self.seconds = cpu_seconds(self._roots), time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End, and keep the differences."""
        self.seconds, self.cpu = time.perf_counter() - self.seconds, cpu_seconds(self._roots) - self.cpu


def measure(peer: Opening, mortal: Opening | None = None) -> None:
    """Measure the case that the command line names; `mortal` serves the case `recovery`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=[*CASES, "recovery"])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    work = QUICK if options.quick else Work()
    if options.case == "recovery":
        assert mortal is not None
        with mortal() as victim:
            figures = recovery(victim, work)
    else:
        with peer() as opened:
            figures = CASES[options.case](opened, work)
    report(figures)


def report(figures: Mapping[str, Any]) -> None:
    """Print what was measured, for `benchmarks.peers` to read."""
    print(FIGURES + json.dumps(figures), flush=True)


def steps(peer: Peer, work: Work) -> Mapping[str, Any]:
    """Run many trivial steps alone, again and again."""
    for _ in range(3):
        peer.steps(5)
    with Meter() as meter:
        means = [peer.steps(work.count) for _ in range(work.alone)]
    middle = statistics.median(means)
    return {
        "p50_ms": middle * 1000,
        "steps_per_s": 1 / middle,
        "cpu_ms": meter.cpu * 1000 / (work.count * work.alone),
        "seconds": meter.seconds,
    }


def throughput(peer: Peer, work: Work) -> Mapping[str, Any]:
    """Submit many runs of ten steps at once, three times; the middle one counts."""
    peer.burst(work.warm, STEPS)
    rounds = []
    for _ in range(work.rounds):
        with Meter() as meter:
            peer.burst(work.burst, STEPS)
        rounds.append(meter)
    middle = sorted(rounds, key=lambda one: one.seconds)[len(rounds) // 2]
    return {
        "steps_per_s": work.burst * STEPS / middle.seconds,
        "runs_per_s": work.burst / middle.seconds,
        "cpu_ms": middle.cpu * 1000 / (work.burst * STEPS),
        "seconds": middle.seconds,
    }


def latency(peer: Peer, work: Work) -> Mapping[str, Any]:
    """Submit one-step runs one after the other, with pauses."""
    peer.burst(16, 1)
    seen = []
    for _ in range(work.singles):
        began = time.perf_counter()
        peer.burst(1, 1)
        seen.append(time.perf_counter() - began)
        time.sleep(PAUSE_SECONDS)
    return {"p50_ms": statistics.median(seen) * 1000, "p95_ms": statistics.quantiles(seen, n=20)[-1] * 1000}


CASES: dict[str, Callable[[Peer, Work], Mapping[str, Any]]] = {
    "steps": steps,
    "throughput": throughput,
    "latency": latency,
}


def recovery(victim: Mortal, work: Work) -> Mapping[str, Any]:
    """Kill all workers when 40 % of the steps have begun, and start new ones at once."""
    total = work.killed * STEPS
    victim.submit(work.killed)
    _wait_for_effects(int(0.4 * total))
    bodies = len(effects())
    victim.kill()
    began = time.perf_counter()
    victim.restart()
    completed = _wait_for_ends(victim, work.killed)
    seconds = time.perf_counter() - began
    bodies_in_all = [line.split() for line in effects()]
    return {
        "all_seconds": seconds if completed == work.killed else None,
        "runs": work.killed,
        "completed": completed,
        "bodies_at_kill": bodies,
        "steps_again": len(bodies_in_all) - len({(run, step) for run, step in bodies_in_all}),
    }


def _wait_for_effects(count: int) -> None:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while len(effects()) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Only {len(effects())} of {count} steps began within {RECOVERY_SECONDS:g} s")
        time.sleep(0.01)


def _wait_for_ends(victim: Mortal, runs: int) -> int:
    """Return how many have ended: all, or those that had when nothing moved any more."""
    deadline, moved, seen = time.monotonic() + RECOVERY_SECONDS, time.monotonic(), (-1, -1)
    while (completed := victim.ended()) < runs and time.monotonic() < deadline:
        now = (completed, len(effects()))
        if now != seen:
            seen, moved = now, time.monotonic()
        elif time.monotonic() - moved > STANDSTILL_SECONDS:
            break
        time.sleep(0.05)
    return completed
