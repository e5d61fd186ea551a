"""A run whose body raises has failed: it says with which error, has an end, and its step's values stay."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("failed-run-says-why")


@app.function(on="failed-run-says-why/go", retries=0)
async def fails(ctx: Context) -> None:
    """Do something, then raise."""
    await ctx.step.run("before", lambda: "kept")
    raise LookupError("nope!")


async def play(stage: Stage) -> None:
    """Look at the run."""
    run_id = await stage.start("failed-run-says-why/go")
    run = await stage.ended(run_id)
    assert (run.status, run.output) == ("failed", None)
    assert run.error == {"code": "LookupError", "message": "nope!"}
    assert run.started_at and run.ended_at and run.started_at <= run.ended_at
    assert (await stage.steps(run_id))["before"].output == "kept"
