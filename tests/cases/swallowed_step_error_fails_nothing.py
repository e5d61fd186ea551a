"""A run whose body swallows the failure of a step completes."""

from __future__ import annotations

from contextlib import suppress

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, StepError

app = App("swallowed-step-error-fails-nothing")


@app.function(on="swallowed-step-error-fails-nothing/go", retries=0)
async def swallows(ctx: Context) -> str:
    """Go on as if nothing had been."""
    with suppress(StepError):  # the point of the case
        await ctx.step.run("a", _fail)
    return "success"


def _fail() -> None:
    note("step")
    raise RuntimeError("the step failed")


async def play(stage: Stage) -> None:
    """The failure stays visible in the step."""
    run_id = await stage.start("swallowed-step-error-fails-nothing/go")
    run = await stage.ended(run_id)
    assert (run.status, run.output, run.error) == ("completed", "success", None)
    assert len(stage.notes("step")) == 1
    assert (await stage.steps(run_id))["a"].error == {"name": "RuntimeError", "message": "the step failed"}
