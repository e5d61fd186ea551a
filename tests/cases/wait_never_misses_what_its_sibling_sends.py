"""A wait and the sending of its event side by side never miss each other, as often as it is tried."""

from __future__ import annotations

import asyncio

from cases.stages.stage import Stage
from celeriac import App, Context, Event

app = App("wait-never-misses-what-its-sibling-sends")

RUNS = 20


@app.function(on="wait-never-misses-what-its-sibling-sends/go")
async def asks_and_waits(ctx: Context, n: int) -> int:
    """Ask, and wait for the answer from the start of the run on."""
    answer, _ = await asyncio.gather(
        ctx.step.wait_for_event(
            "answer", "wait-never-misses-what-its-sibling-sends/answer", match="data.n", timeout="1h", since="1h"
        ),
        ctx.step.send_event("ask", "wait-never-misses-what-its-sibling-sends/asked", {"n": n}),
    )
    return 0 if answer is None else int(answer.data["answer"])


@app.function(on="wait-never-misses-what-its-sibling-sends/asked")
async def answers(ctx: Context, n: int) -> None:
    """Answer at once."""
    data = {"n": n, "answer": n * n}
    await ctx.step.send_event("answer", "wait-never-misses-what-its-sibling-sends/answer", data)


async def play(stage: Stage) -> None:
    """Many of them at the same time."""
    events = [Event("wait-never-misses-what-its-sibling-sends/go", {"n": n}) for n in range(1, RUNS)]
    for run_id in await stage.send(events):
        await stage.ended(run_id)
    outputs = sorted(run.output for run in await stage.all_ended("asks-and-waits"))
    assert outputs == [n * n for n in range(1, RUNS)]
