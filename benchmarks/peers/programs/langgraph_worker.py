"""A process that runs LangGraph's runs with effects: it goes on with those that have begun, and begins the others."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvloop

from benchmarks.peers.programs.langgraph_functions import DURABILITY, WAYS, open_saver, thread
from benchmarks.peers.programs.processes import folder


async def main(runs: int) -> None:
    """Run all at once, and write down each that has ended."""
    async with open_saver() as saver:
        _, effects_of = WAYS[os.environ["BENCH_API"]](saver)
        await asyncio.gather(*[_one(effects_of, f"run-{number}") for number in range(runs)])


async def _one(effects_of: Any, name: str) -> None:
    state = await effects_of.aget_state(thread(name))
    has_begun = state.created_at is not None
    if not has_begun or state.next:
        # None goes on from the last checkpoint
        await effects_of.ainvoke(None if has_begun else {"done": 0, "run": name}, thread(name), durability=DURABILITY)
    with (folder() / "ended.txt").open("a") as file:
        file.write(f"{name}\n")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
