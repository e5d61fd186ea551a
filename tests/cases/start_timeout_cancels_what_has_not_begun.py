"""A run that has not begun when its `start_timeout` is over is cancelled; one that has begun is left alone."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("start-timeout-cancels-what-has-not-begun")

#: one start at once, the next two seconds later
LIMITS = {"starts_burst": 1, "starts_per_second": 0.5}


@app.function(on="start-timeout-cancels-what-has-not-begun/go", start_timeout="0.4s")
async def begins(ctx: Context) -> str:
    """Begin in time, and then take longer than the timeout."""
    note("began")
    await ctx.step.sleep("nap", "0.6s")
    return "done"


async def play(stage: Stage) -> None:
    """Only the first of three can begin in time."""
    first = await stage.start("start-timeout-cancels-what-has-not-begun/go")
    await stage.status(first, "parked")
    late = [await stage.start("start-timeout-cancels-what-has-not-begun/go") for _ in range(2)]
    await stage.pass_time("0.4s")
    cancelled = [await stage.ended(run_id) for run_id in late]
    assert [(run.status, run.reason) for run in cancelled] == [("cancelled", "start_timeout")] * 2
    await stage.pass_time("0.2s")
    assert (await stage.ended(first)).output == "done"
    assert {one["run"] for one in stage.notes("began")} == {first}
