"""A run that an invoke started can be found by its parent while both still go on."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("invoke-names-its-child-while-it-runs")


@app.function()
async def child(ctx: Context) -> str:
    """Take a while."""
    await ctx.step.sleep("nap", "0.5s")
    return "done"


@app.function(on="invoke-names-its-child-while-it-runs/go")
async def parent(ctx: Context) -> str:
    """Wait for the child."""
    return await ctx.step.invoke("invoke", child)


async def play(stage: Stage) -> None:
    """Look at the child before it has ended."""
    run_id = await stage.start("invoke-names-its-child-while-it-runs/go")
    begun = await stage.begun("child")
    assert begun.parent_id == run_id
    assert (await stage.run(run_id)).parent_id is None
    assert not (await stage.run(run_id)).is_final
    await stage.pass_time("0.5s")
    assert (await stage.ended(begun.id)).output == (await stage.ended(run_id)).output == "done"
