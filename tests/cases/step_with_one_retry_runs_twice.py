"""A failing step of a function with `retries=1` runs twice."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, RetryAfterError

app = App("step-with-one-retry-runs-twice")


@app.function(on="step-with-one-retry-runs-twice/go", retries=1)
async def fails(ctx: Context) -> None:
    """Fail in a step."""
    await ctx.step.run("a", _fail)


def _fail() -> None:
    note("step")
    raise RetryAfterError("oh no", 0)


async def play(stage: Stage) -> None:
    """Count the attempts."""
    run_id = await stage.start("step-with-one-retry-runs-twice/go")
    run = await stage.ended(run_id)
    assert run.status == "failed"
    assert run.error and "oh no" in run.error["message"]
    assert len(stage.notes("step")) == (await stage.steps(run_id))["a"].attempts == 2
