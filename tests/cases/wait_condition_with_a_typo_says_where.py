"""A wait whose condition cannot be read fails the run at once, and names step and expression."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("wait-condition-with-a-typo-says-where")

TYPO = "event.data.user_id === async.data.user_id"


@app.function(on="wait-condition-with-a-typo-says-where/go")
async def waits(ctx: Context) -> None:
    """Wait by a condition of another language."""
    await ctx.step.wait_for_event("wait", "dummy", if_=TYPO, timeout="1h")


async def play(stage: Stage) -> None:
    """It is tried once and waits for nothing."""
    run = await stage.ended(await stage.start("wait-condition-with-a-typo-says-where/go"))
    assert (run.status, run.links) == ("failed", 1)
    assert run.error and run.error["code"] == "config"
    assert "'wait'" in run.error["message"] and "===" in run.error["message"]
