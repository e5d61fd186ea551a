"""The case `agent`: a network of three agents, each with four model calls and four calls of its tool, one run and many.

A program hands `measure_agents` a way to run the network once. The model is the one that Celeriac is measured with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import uvloop

from benchmarks.peers.programs.yardstick import PAUSE_SECONDS, Meter, report

AGENTS = ("agent-0", "agent-1", "agent-2")
#: what a client needs that reaches nothing but the model of the benchmark
API_KEY = "offline"
MODEL_CALLS = 12
QUESTION = "What is the answer?"

Run = Callable[[str], Awaitable[object]]
Opening = Callable[[], AbstractAsyncContextManager[Run]]


def model_url() -> str:
    """Return the address for an OpenAI client."""
    return os.environ["BENCH_MODEL_URL"]


def tool_name(agent: str) -> str:
    """Return the agent's tool, by which the model knows who asks."""
    return agent.replace("agent-", "look_up_")


def measure_agents(opening: Opening) -> None:
    """Measure the network that `opening` makes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=["agent"])
    parser.add_argument("--quick", action="store_true")
    alone, at_once = (2, 5) if parser.parse_args().quick else (10, 50)
    uvloop.run(_measure(opening, alone, at_once))


async def _measure(opening: Opening, alone: int, at_once: int) -> None:
    async with opening() as run:
        await _burst(run, at_once)  # the connections are open
        seconds = []
        for _ in range(alone):
            began = time.perf_counter()
            await run(QUESTION)
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE_SECONDS)
        before = await asyncio.to_thread(_requests)
        with Meter() as meter:
            await _burst(run, at_once)
        calls = (await asyncio.to_thread(_requests) - before) / at_once
    if calls != MODEL_CALLS:
        raise RuntimeError(f"A run made {calls:g} model calls instead of {MODEL_CALLS}; no figure is of worth")
    report(
        {
            "p50_ms": statistics.median(seconds) * 1000,
            "model_calls": MODEL_CALLS,
            "runs_per_s": at_once / meter.seconds,
            "cpu_ms": meter.cpu * 1000 / at_once,
            "seconds": meter.seconds,
        }
    )


async def _burst(run: Run, count: int) -> None:
    await asyncio.gather(*[run(QUESTION) for _ in range(count)])


def _requests() -> int:
    """Ask the model how many requests it has had."""
    with urllib.request.urlopen(model_url().removesuffix("/v1") + "/_stats") as answer:
        count: int = json.load(answer)["requests"]
        return count
