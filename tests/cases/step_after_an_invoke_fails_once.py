"""A step behind an invoke fails as often as it may and no more, and the code behind it is reached."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, StepError

app = App("step-after-an-invoke-fails-once")


@app.function()
async def child(ctx: Context) -> str:
    """Be quick."""
    return "ok"


@app.function(on="step-after-an-invoke-fails-once/go", retries=0)
async def parent(ctx: Context) -> None:
    """Invoke, then fail."""
    await ctx.step.invoke("invoke", child)
    try:
        await ctx.step.run("after", _fail)
    except StepError:
        note("reached")
        raise


def _fail() -> None:
    note("after")
    raise RuntimeError("uh oh")


async def play(stage: Stage) -> None:
    """Count the attempts."""
    run = await stage.ended(await stage.start("step-after-an-invoke-fails-once/go"))
    assert run.status == "failed"
    assert run.error and "uh oh" in run.error["message"]
    assert (len(stage.notes("after")), len(stage.notes("reached"))) == (1, 1)
