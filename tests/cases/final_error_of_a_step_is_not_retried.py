"""A step that raises `NonRetriableError` runs once, whatever retries it has."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, NonRetriableError

app = App("final-error-of-a-step-is-not-retried")


@app.function(on="final-error-of-a-step-is-not-retried/go", retries=1)
async def fails(ctx: Context) -> None:
    """Fail in a step."""
    await ctx.step.run("a", _fail)


def _fail() -> None:
    note("step")
    raise NonRetriableError("a permanent failure")


async def play(stage: Stage) -> None:
    """Count the attempts."""
    run_id = await stage.start("final-error-of-a-step-is-not-retried/go")
    run = await stage.ended(run_id)
    assert run.status == "failed"
    assert run.error and "a permanent failure" in run.error["message"]
    assert len(stage.notes("step")) == (await stage.steps(run_id))["a"].attempts == 1
