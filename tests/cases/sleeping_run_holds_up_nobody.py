"""A run that sleeps takes no room: with room for one run at a time, another one starts while it sleeps."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("sleeping-run-holds-up-nobody")

LIMITS = {"running": 1}


@app.function(on="sleeping-run-holds-up-nobody/slept")
async def sleeper(ctx: Context) -> str:
    """Sleep for long."""
    await ctx.step.sleep("nap", "1s")
    return await ctx.step.run("wake", lambda: "slept well")


@app.function(on="sleeping-run-holds-up-nobody/passed")
async def passer(ctx: Context) -> str:
    """Be quick."""
    return await ctx.step.run("pass", lambda: "passed by")


async def play(stage: Stage) -> None:
    """Start two that pass by while one sleeps."""
    sleeping = await stage.start("sleeping-run-holds-up-nobody/slept")
    await stage.status(sleeping, "parked")
    passing = [await stage.start("sleeping-run-holds-up-nobody/passed") for _ in range(2)]
    passed = [await stage.ended(one) for one in passing]
    await stage.pass_time("1s")
    slept = await stage.ended(sleeping)
    assert [run.output for run in [*passed, slept]] == ["passed by", "passed by", "slept well"]
    assert all(run.started_at and slept.ended_at and run.started_at < slept.ended_at for run in passed)
