"""An invoke whose child has not ended in time fails as a step; the child goes on for itself."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("invoke-that-takes-too-long-fails")


@app.function()
async def child(ctx: Context) -> str:
    """Take long."""
    await ctx.step.sleep("nap", "1s")
    return "late"


@app.function(on="invoke-that-takes-too-long-fails/go", retries=0)
async def parent(ctx: Context) -> str:
    """Wait for less."""
    return await ctx.step.invoke("invoke", child, timeout="0.4s")


async def play(stage: Stage) -> None:
    """The parent fails first, the child completes afterwards."""
    run_id = await stage.start("invoke-that-takes-too-long-fails/go")
    await stage.status(run_id, "parked")
    await stage.pass_time("0.4s")
    run = await stage.ended(run_id)
    assert run.error and run.error["code"] == "step_failed"
    error = (await stage.steps(run_id))["invoke"].error
    assert error and error["name"] == "TimeoutError"
    await stage.pass_time("0.6s")
    [late] = await stage.all_ended("child")
    assert (late.status, late.output) == ("completed", "late")
    assert late.ended_at and run.ended_at and run.ended_at < late.ended_at
