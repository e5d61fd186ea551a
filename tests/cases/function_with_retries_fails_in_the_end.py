"""A body that fails at each attempt is tried once and `retries` times more; then the run has failed."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("function-with-retries-fails-in-the-end")


@app.function(on="function-with-retries-fails-in-the-end/go", retries=2)
async def fails(ctx: Context) -> None:
    """Fail outside of steps."""
    note("body")
    raise RuntimeError("nope")


async def play(stage: Stage) -> None:
    """Count the attempts."""
    run = await stage.ended(await stage.start("function-with-retries-fails-in-the-end/go"))
    assert run.status == "failed"
    assert run.error and run.error["message"] == "nope"
    assert len(stage.notes("body")) == 3
