"""The app that the fleet runs while it is measured; its bodies do as little as they can, so what is left is ours."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from celeriac import Agent, App, Context, Network, openai, tool

AGENTS = 3
STEP_SECONDS = 0.02

app = App("bench")


@app.function("steps", on="bench/steps")
async def steps(ctx: Context, count: int) -> dict[str, float]:
    """Make trivial steps one after the other, and tell how long each took on average."""
    began = time.perf_counter()
    for number in range(count):
        await ctx.step.run("step", _trivial, number)
    return {"ms_per_step": (time.perf_counter() - began) * 1000 / max(1, count)}


@app.function("effects", on="bench/effects")
async def effects(ctx: Context, count: int, log: str) -> int:
    """Make steps that leave a line in `log` and take 20 ms, as work that a crash may interrupt."""
    for number in range(count):
        await ctx.step.run(f"step-{number}", _effect, ctx.run.id, f"step-{number}", log)
    return count


async def _trivial(number: int) -> dict[str, Any]:
    return {"i": number, "ok": True}


async def _effect(run_id: str, path: str, log: str) -> str:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{run_id} {path} {time.time_ns() // 1000}\n".encode())
    finally:
        os.close(file)
    await asyncio.sleep(STEP_SECONDS)
    return path


async def _double(x: int) -> int:
    """Double a number."""
    return x * 2


def _agent(number: int) -> Agent:
    # A tool name of its own tells the model server which agent asks, whatever stands in the history.
    return Agent(
        f"agent-{number}",
        system=f"You are agent {number}.",
        tools=[tool(name=f"look_up_{number}")(_double)],
        max_iter=4,
    )


_network = Network(
    "Agents",
    agents=[_agent(number) for number in range(AGENTS)],
    router=lambda ctx: f"agent-{ctx.network.call_count}" if ctx.network.call_count < AGENTS else None,
    default_model=openai("bench", api_key="offline"),
)

app.network(_network, id="budget", on="bench/agents.budget", links="budget")
app.network(_network, id="turn", on="bench/agents.turn", links="turn")
