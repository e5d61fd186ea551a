"""A failing body of a function with `retries=0` runs once."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("function-without-retries-runs-once")


@app.function(on="function-without-retries-runs-once/go", retries=0)
async def fails(ctx: Context) -> None:
    """Fail outside of steps."""
    note("body")
    raise RuntimeError("an error of the function")


async def play(stage: Stage) -> None:
    """Count the attempts."""
    run = await stage.ended(await stage.start("function-without-retries-runs-once/go"))
    assert run.status == "failed"
    assert run.error and run.error["message"] == "an error of the function"
    assert len(stage.notes("body")) == 1
