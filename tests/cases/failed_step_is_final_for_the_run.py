"""An uncaught `StepError` fails the run at once: the step had its attempts, the body does not get its own."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, RetryAfterError, StepError

app = App("failed-step-is-final-for-the-run")


@app.function(on="failed-step-is-final-for-the-run/go", retries=2)
async def always_fails(ctx: Context) -> None:
    """Let the step's error out."""
    try:
        await ctx.step.run("fails", _fail)
    except StepError:
        note("after")
        raise


def _fail() -> None:
    note("step")
    raise RetryAfterError("this step fails", 0)


async def play(stage: Stage) -> None:
    """Three attempts of the step, one of what follows it."""
    run_id = await stage.start("failed-step-is-final-for-the-run/go")
    run = await stage.ended(run_id)
    assert run.status == "failed"
    assert run.error and run.error["code"] == "step_failed" and "this step fails" in run.error["message"]
    assert (len(stage.notes("step")), len(stage.notes("after"))) == (3, 1)
    assert (await stage.steps(run_id))["fails"].attempts == 3
