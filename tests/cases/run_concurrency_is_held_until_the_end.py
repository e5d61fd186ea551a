"""A concurrency limit of runs is held from the start of a run to its end, also while the run sleeps."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import in_order, work
from celeriac import App, Concurrency, Context

app = App("run-concurrency-is-held-until-the-end")


@app.function(on="run-concurrency-is-held-until-the-end/go", concurrency=Concurrency(1, hold="run"))
async def sleeps(ctx: Context) -> None:
    """Work before and after a nap."""
    await work(ctx, "before")
    await ctx.step.sleep("nap", "0.3s")
    await work(ctx, "after")


async def play(stage: Stage) -> None:
    """Three runs, one after another, and none left behind by one that is cancelled in its sleep."""
    runs = [await stage.start("run-concurrency-is-held-until-the-end/go") for _ in range(3)]
    await stage.status(runs[0], "parked")
    assert [(await stage.run(run_id)).status for run_id in runs[1:]] == ["queued", "queued"]
    await stage.cancel(runs[0])
    for _ in runs:
        await stage.pass_time("0.5s")
    first, second, third = in_order(await stage.all_ended())
    assert [run.status for run in (first, second, third)] == ["cancelled", "completed", "completed"]
    assert first.ended_at and second.started_at and second.ended_at and third.started_at
    assert first.ended_at <= second.started_at
    assert second.ended_at <= third.started_at
