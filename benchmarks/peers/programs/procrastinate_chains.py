"""Procrastinate: tasks in Postgres, announced by NOTIFY; two worker processes. A chain of tasks stands for a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from benchmarks.peers.programs.processes import Processes
from benchmarks.peers.programs.procrastinate_tasks import URL, app, leave_effect, trivial
from benchmarks.peers.programs.yardstick import measure

WORKERS = 2
PATIENCE_SECONDS = 120.0

_ENDED = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND (args->>'is_last')::boolean"
# A task that is killed after it has deferred the next one defers it again: its run may end twice.
_RUNS_ENDED = (
    "SELECT count(DISTINCT args->>'run') FROM procrastinate_jobs"
    " WHERE status = 'succeeded' AND (args->>'is_last')::boolean"
)


class Chains:
    """Two workers, and a sender."""

    def __init__(self, workers: Processes, loop: asyncio.Runner, connection: psycopg.Connection[Any]) -> None:
        """Start the workers."""
        self._workers = workers
        self._loop = loop
        self._connection = connection
        self._expected = 0
        self.restart()

    def steps(self, count: int) -> float:
        """A chain has no inside: its whole time counts."""
        began = time.perf_counter()
        self.burst(1, count)
        return (time.perf_counter() - began) / count

    def burst(self, runs: int, steps: int) -> None:
        """Defer the first task of each run by itself."""

        async def defer() -> None:
            for _ in range(runs):
                await trivial.defer_async(step=0, count=steps, is_last=steps == 1)

        self._loop.run(defer())
        deadline = time.monotonic() + PATIENCE_SECONDS
        self._expected += runs
        while (ended := self._count(_ENDED)) < self._expected:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._expected - ended} runs did not end within {PATIENCE_SECONDS:g} s")
            time.sleep(0.002 if runs == 1 else 0.05)

    def submit(self, runs: int) -> None:
        """Defer the first task of each run with effects."""
        self.burst(16, 1)  # the workers are up

        async def defer() -> None:
            for run in range(runs):
                await leave_effect.defer_async(run=f"run-{run}", step=0, is_last=False)

        self._loop.run(defer())

    def kill(self) -> None:
        """Kill the workers."""
        self._workers.kill()

    def restart(self) -> None:
        """Start workers."""
        for _ in range(WORKERS):
            self._workers.start_python("-m", "benchmarks.peers.programs.procrastinate_worker")

    def ended(self) -> int:
        """Count the runs whose last step has ended."""
        return self._count(_RUNS_ENDED)

    def _count(self, statement: LiteralString) -> int:
        row = self._connection.execute(statement).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def open_chains() -> Iterator[Chains]:
    """Make the tables, and start the workers."""
    with asyncio.Runner() as loop, psycopg.connect(URL, autocommit=True) as connection, Processes() as workers:
        loop.run(_make_tables())
        yield Chains(workers, loop, connection)
        loop.run(app.close_async())


async def _make_tables() -> None:
    await app.open_async()
    await app.schema_manager.apply_schema_async()


if __name__ == "__main__":
    measure(open_chains, open_chains)
