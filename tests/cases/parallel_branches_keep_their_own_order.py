"""Inside of a branch steps follow each other; what comes after the branches comes after all of them."""

from __future__ import annotations

import asyncio

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context
from waiting import work_for

app = App("parallel-branches-keep-their-own-order")


@app.function(on="parallel-branches-keep-their-own-order/go", retries=0)
async def two_branches(ctx: Context) -> None:
    """Two branches of two steps each, the second one slow."""

    async def branch(name: str, seconds: float) -> None:
        for number in (1, 2):
            await ctx.step.run(f"{name}{number}", _work, f"{name}{number}", seconds)

    await asyncio.gather(branch("a", 0), branch("b", 0.2))
    await ctx.step.run("end", _work, "end", 0)


def _work(name: str, seconds: float) -> None:
    work_for(seconds)
    note("step", name=name)


async def play(stage: Stage) -> None:
    """Look at the order of the ends."""
    run = await stage.ended(await stage.start("parallel-branches-keep-their-own-order/go"))
    assert run.status == "completed"
    order = [one["name"] for one in stage.notes("step")]
    assert sorted(order) == ["a1", "a2", "b1", "b2", "end"]
    assert order.index("a1") < order.index("a2")
    assert order.index("b1") < order.index("b2")
    assert order[-1] == "end"
