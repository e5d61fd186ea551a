"""A wait whose condition speaks of what is not there fails the run at once, and says of what it may speak."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("wait-condition-without-meaning-fails-the-run")


@app.function(on="wait-condition-without-meaning-fails-the-run/go")
async def waits(ctx: Context) -> None:
    """Wait by a condition that means nothing."""
    await ctx.step.wait_for_event("wait", "dummy", if_="invalid", timeout="1h")


async def play(stage: Stage) -> None:
    """It is tried once and waits for nothing."""
    run = await stage.ended(await stage.start("wait-condition-without-meaning-fails-the-run/go"))
    assert (run.status, run.links) == ("failed", 1)
    assert run.error and run.error["code"] == "config"
    assert "'wait'" in run.error["message"] and "'invalid'" in run.error["message"]
