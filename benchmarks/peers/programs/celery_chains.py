"""Plain Celery chains on Redis: a step is a task, its memo a result in Redis; two prefork processes.

No step is durable beyond its message: who kills the worker waits for the visibility timeout (an hour by default).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import chain

from benchmarks.peers.programs.celery_tasks import leave_effect, trivial
from benchmarks.peers.programs.effects import STEPS
from benchmarks.peers.programs.processes import Processes
from benchmarks.peers.programs.yardstick import measure

PATIENCE_SECONDS = 120


class Chains:
    """A worker, and a sender of chains."""

    def __init__(self, workers: Processes) -> None:
        """Start the worker."""
        self._workers = workers
        self._sent: list[Any] = []
        self.restart()

    def steps(self, count: int) -> float:
        """A chain has no inside: its whole time counts."""
        began = time.perf_counter()
        self.burst(1, count)
        return (time.perf_counter() - began) / count

    def burst(self, runs: int, steps: int) -> None:
        """Send each chain by itself."""
        sent = [chain(*[trivial.si(number) for number in range(steps)]).apply_async() for _ in range(runs)]
        for result in sent:
            result.get(timeout=PATIENCE_SECONDS)

    def submit(self, runs: int) -> None:
        """Send the chains whose steps have effects."""
        self.burst(16, 1)  # the worker is up
        for run in range(runs):
            links = [leave_effect.si(f"run-{run}", step) for step in range(STEPS)]
            self._sent.append(chain(*links).apply_async())

    def kill(self) -> None:
        """Kill the worker and its children."""
        self._workers.kill()

    def restart(self) -> None:
        """Start a worker; what the dead one held comes back by Redis's visibility timeout only."""
        name = f"bench-{time.time_ns()}@localhost"
        command = ("-m", "celery", "-A", "benchmarks.peers.programs.celery_tasks", "worker", "-c", "2", "-l", "ERROR")
        self._workers.start_python(*command, "--without-gossip", "--without-mingle", "-n", name)

    def ended(self) -> int:
        """Ask Redis for the last results."""
        return sum(result.ready() for result in self._sent)


@contextmanager
def open_chains() -> Iterator[Chains]:
    """Start the worker, and kill it at the end."""
    with Processes() as workers:
        yield Chains(workers)


if __name__ == "__main__":
    measure(open_chains, open_chains)
