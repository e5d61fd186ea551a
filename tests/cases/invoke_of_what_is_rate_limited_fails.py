"""An invoked function that its rate limit refuses is an error of the step, which says when the next may begin."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, RateLimit, StepError

app = App("invoke-of-what-is-rate-limited-fails")


@app.function(on="invoke-of-what-is-rate-limited-fails/child", rate_limit=RateLimit(1, per="1h"))
async def child(ctx: Context) -> str:
    """Work."""
    return "worked"


@app.function(on="invoke-of-what-is-rate-limited-fails/go")
async def parent(ctx: Context) -> list[str]:
    """Ask twice."""
    first = await ctx.step.invoke("first", child)
    try:
        return [first, await ctx.step.invoke("second", child)]
    except StepError as error:
        return [first, error.message]


async def play(stage: Stage) -> None:
    """The parent learns of it at once."""
    run = await stage.ended(await stage.start("invoke-of-what-is-rate-limited-fails/go"))
    worked, refused = run.output
    assert worked == "worked"
    assert "rate_limited" in refused
    assert "the next may begin at" in refused
