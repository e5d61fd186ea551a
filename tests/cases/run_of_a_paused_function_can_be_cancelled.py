"""A paused function starts no runs, and says so; those it has can be cancelled, and go on where they are not."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("run-of-a-paused-function-can-be-cancelled")


@app.function("pausable", on="run-of-a-paused-function-can-be-cancelled/go")
async def sleeps(ctx: Context) -> None:
    """Sleep between two steps."""
    await ctx.step.run("before", note, "before")
    await ctx.step.sleep("nap", "0.4s")
    await ctx.step.run("after", note, "after")


async def play(stage: Stage) -> None:
    """Pause with two runs under way; cancel one, see the other through, try a third, resume, try a fourth."""
    name = "run-of-a-paused-function-can-be-cancelled/go"
    cancelled, spared = await stage.start(name), await stage.start(name)
    for run_id in (cancelled, spared):
        await stage.status(run_id, "parked")
    stage.pause("pausable")
    await stage.cancel(cancelled)
    skipped = await stage.ended(await stage.start(name))
    await stage.pass_time("0.4s")
    assert (await stage.ended(cancelled)).status == "cancelled"
    assert (await stage.ended(spared)).status == "completed"
    assert (skipped.status, skipped.reason) == ("skipped", "paused")
    stage.pause("pausable", is_paused=False)
    resumed = await stage.start(name)
    await stage.pass_time("0.4s")
    assert (await stage.ended(resumed)).status == "completed"
    assert [one["run"] for one in stage.notes("after")] == [spared, resumed]
