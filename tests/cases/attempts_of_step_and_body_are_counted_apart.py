"""A step's attempts and its function's are counted apart, and a retry of the body repeats no finished step."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("attempts-of-step-and-body-are-counted-apart")


@app.function(on="attempts-of-step-and-body-are-counted-apart/go", retries=2)
async def fails_everywhere(ctx: Context) -> str:
    """Fail as often as is allowed, in the step and after it."""
    value = await ctx.step.run("step", _fail_twice)
    if note("body") <= 2:
        raise RuntimeError("an error of the function")
    return f"{value}, done"


def _fail_twice() -> str:
    if note("step") <= 2:
        raise RuntimeError("an error of the step")
    return "retried"


async def play(stage: Stage) -> None:
    """Both get their three attempts."""
    run_id = await stage.start("attempts-of-step-and-body-are-counted-apart/go")
    run = await stage.ended(run_id)
    assert (run.status, run.output) == ("completed", "retried, done")
    assert (len(stage.notes("step")), len(stage.notes("body"))) == (3, 3)
    assert (await stage.steps(run_id))["step"].attempts == 3
