"""A concurrency limit counts the links that execute: runs that wait for something are free, whatever their number."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import most_at_once, work
from celeriac import App, Context

app = App("concurrency-counts-links-that-execute")

MORE = "concurrency-counts-links-that-execute/more"


@app.function(on="concurrency-counts-links-that-execute/go", concurrency=1)
async def works_twice(ctx: Context) -> None:
    """Work before and after a wait."""
    await work(ctx, "before")
    await ctx.step.wait_for_event("more", MORE, timeout="1h")
    await work(ctx, "after")


async def play(stage: Stage) -> None:
    """Three runs wait at the same time, and none works while another does."""
    runs = [await stage.start("concurrency-counts-links-that-execute/go") for _ in range(3)]
    for run_id in runs:
        await stage.status(run_id, "parked")
    await stage.send(MORE)
    assert [run.status for run in await stage.all_ended()] == ["completed"] * 3
    assert most_at_once(stage) == 1
    assert len(stage.notes("ended")) == 6
