"""Branches that meet in one step and part again run every step once, also over a nap of one branch."""

from __future__ import annotations

import asyncio
from collections import Counter

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("parallel-steps-meet-and-part-again")

PATHS = ["a1", "a2", "a3", "between", "b1", "b2", "after"]


@app.function(on="parallel-steps-meet-and-part-again/go")
async def diamond(ctx: Context) -> list[str]:
    """Three branches, one step, two branches with a nap in the first, one step."""

    async def step(name: str) -> str:
        return await ctx.step.run(name, _note, name)

    async def naps(name: str) -> str:
        await ctx.step.sleep("nap", "0.3s")
        return await step(name)

    first = await asyncio.gather(step("a1"), step("a2"), step("a3"))
    between = await step("between")
    second = await asyncio.gather(naps("b1"), step("b2"))
    return [*first, between, *second, await step("after")]


def _note(name: str) -> str:
    note("step", name=name)
    return name


async def play(stage: Stage) -> None:
    """Let the nap pass."""
    run_id = await stage.start("parallel-steps-meet-and-part-again/go")
    await stage.pass_time("0.3s")
    run = await stage.ended(run_id)
    assert run.output == PATHS
    assert Counter(one["name"] for one in stage.notes("step")) == Counter(PATHS)
