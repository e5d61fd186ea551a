"""A concurrency limit of runs is held from the start of a run to its end, also while the run waits for something."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import work
from celeriac import App, Concurrency, Context

app = App("run-concurrency-is-held-until-the-end")

MORE = "run-concurrency-is-held-until-the-end/more"


@app.function(on="run-concurrency-is-held-until-the-end/go", concurrency=Concurrency(1, hold="run"))
async def waits(ctx: Context) -> None:
    """Work before and after a wait."""
    await work(ctx, "before")
    await ctx.step.wait_for_event("more", MORE, timeout="1h")
    await work(ctx, "after")


async def play(stage: Stage) -> None:
    """Three runs, one after another, and none is left behind by one that is cancelled while it waits."""
    first, second, third = [await stage.start("run-concurrency-is-held-until-the-end/go") for _ in range(3)]
    await stage.status(first, "parked")
    assert [(await stage.run(run_id)).status for run_id in (second, third)] == ["queued", "queued"]
    await stage.cancel(first)
    await stage.status(second, "parked")
    assert (await stage.run(third)).status == "queued"
    await stage.send(MORE)
    before = await stage.ended(second)
    after = await stage.status(third, "parked")
    assert before.ended_at and after.started_at and before.ended_at <= after.started_at
    await stage.send(MORE)
    assert [run.status for run in await stage.all_ended()] == ["cancelled", "completed", "completed"]
