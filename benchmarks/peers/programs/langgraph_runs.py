"""LangGraph as a library: runs are coroutines of one process; there is no queue, no worker and no one to see a crash.

For the case `recovery` that process is a child (`langgraph_worker`); a new one is told the runs and invokes each anew.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from benchmarks.peers.programs.langgraph_functions import DURABILITY, WAYS, open_saver, thread
from benchmarks.peers.programs.processes import Processes, folder
from benchmarks.peers.programs.yardstick import measure

WORKER = "benchmarks.peers.programs.langgraph_worker"


class Coroutines:
    """Runs on a loop of ours."""

    def __init__(self, loop: asyncio.Runner, trivial_steps: Any) -> None:
        """Remember what to run, and where."""
        self._loop = loop
        self._trivial_steps = trivial_steps

    def steps(self, count: int) -> float:
        """Take the time inside the run; a graph has no inside, there its whole time counts."""
        began = time.perf_counter()
        output = self._loop.run(self._one(count))
        return output if isinstance(output, float) else (time.perf_counter() - began) / count

    def burst(self, runs: int, steps: int) -> None:
        """Run all at once."""

        async def at_once() -> None:
            await asyncio.gather(*[self._one(steps) for _ in range(runs)])

        self._loop.run(at_once())

    async def _one(self, steps: int) -> Any:
        start = {"done": 0, "count": steps, "results": []}
        return await self._trivial_steps.ainvoke(start, thread(str(uuid.uuid4())), durability=DURABILITY)


class Killed:
    """Runs in a child, which leaves a file behind when all have ended."""

    def __init__(self, children: Processes) -> None:
        """Start nothing yet."""
        self._children = children
        self._runs = 0

    def submit(self, runs: int) -> None:
        """Let a child run them."""
        self._runs = runs
        self._children.start_python("-m", WORKER, str(runs))

    def kill(self) -> None:
        """Kill the child."""
        self._children.kill()

    def restart(self) -> None:
        """Start a child that invokes every run anew."""
        self._children.start_python("-m", WORKER, str(self._runs))

    def ended(self) -> int:
        """Count what the children have written down."""
        file = folder() / "ended.txt"
        return len(set(file.read_text().split())) if file.exists() else 0


@contextmanager
def open_coroutines() -> Iterator[Coroutines]:
    """Open the checkpointer on a loop that lives as long."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        opening = open_saver()
        saver = loop.run(opening.__aenter__())
        yield Coroutines(loop, WAYS[os.environ["BENCH_API"]](saver)[0])
        loop.run(opening.__aexit__(None, None, None))


@contextmanager
def open_killed() -> Iterator[Killed]:
    """Make the tables, so that the time of the new process is not the time of its migrations."""
    with open_coroutines():
        pass
    with Processes() as children:
        yield Killed(children)


if __name__ == "__main__":
    measure(open_coroutines, open_killed)
