"""A body that raises `NonRetriableError` runs once, whatever retries it has."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, NonRetriableError

app = App("final-error-of-a-function-is-not-retried")


@app.function(on="final-error-of-a-function-is-not-retried/go", retries=1)
async def fails(ctx: Context) -> None:
    """Fail outside of steps."""
    note("body")
    raise NonRetriableError("a permanent error")


async def play(stage: Stage) -> None:
    """Count the attempts."""
    run = await stage.ended(await stage.start("final-error-of-a-function-is-not-retried/go"))
    assert run.status == "failed"
    assert run.error and run.error["message"] == "a permanent error"
    assert len(stage.notes("body")) == 1
