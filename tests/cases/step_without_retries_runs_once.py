"""A failing step of a function with `retries=0` runs once."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("step-without-retries-runs-once")


@app.function(on="step-without-retries-runs-once/go", retries=0)
async def fails(ctx: Context) -> None:
    """Fail in a step."""
    await ctx.step.run("a", _fail)


def _fail() -> None:
    note("step")
    raise RuntimeError("oh no")


async def play(stage: Stage) -> None:
    """Count the attempts."""
    run_id = await stage.start("step-without-retries-runs-once/go")
    run = await stage.ended(run_id)
    assert run.status == "failed"
    assert run.error and "oh no" in run.error["message"]
    assert len(stage.notes("step")) == (await stage.steps(run_id))["a"].attempts == 1
