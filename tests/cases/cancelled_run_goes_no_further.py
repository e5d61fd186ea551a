"""A run that is cancelled while it sleeps ends then and there; what would have come after the sleep never comes."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("cancelled-run-goes-no-further")


@app.function(on="cancelled-run-goes-no-further/go")
async def sleeps(ctx: Context) -> None:
    """Do something, sleep, and do something else."""
    await ctx.step.run("before", note, "before")
    await ctx.step.sleep("nap", "0.3s")
    await ctx.step.run("after", note, "after")


async def play(stage: Stage) -> None:
    """Cancel one of two, and see the other one through."""
    cancelled = await stage.start("cancelled-run-goes-no-further/go")
    other = await stage.start("cancelled-run-goes-no-further/go")
    await stage.status(cancelled, "parked")
    await stage.cancel(cancelled)
    run = await stage.ended(cancelled)
    await stage.pass_time("0.3s")
    assert (run.status, run.reason) == ("cancelled", "cancelled")
    assert (await stage.ended(other)).status == "completed"
    assert [one["run"] for one in stage.notes("after")] == [other]
