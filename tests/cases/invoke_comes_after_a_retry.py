"""A body that failed before its invoke invokes at the next attempt, one child in all."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("invoke-comes-after-a-retry")


@app.function()
async def child(ctx: Context) -> str:
    """Answer."""
    return "invoked!"


@app.function(on="invoke-comes-after-a-retry/go", retries=2)
async def parent(ctx: Context) -> str:
    """Fail before the invoke, and once more after it."""
    if note("before") == 1:
        raise RuntimeError("an initial error")
    answer = await ctx.step.invoke("invoke", child)
    if note("after") == 1:
        raise RuntimeError("another error")
    return answer


async def play(stage: Stage) -> None:
    """The retry after the invoke finds its value."""
    run = await stage.ended(await stage.start("invoke-comes-after-a-retry/go"))
    assert run.output == "invoked!"
    assert len(await stage.all_ended("child")) == 1
    assert len(stage.notes("after")) == 2
