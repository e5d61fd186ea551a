"""An event of `cancel_on` cancels the runs whose own event it matches, and no others; that is told once."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, Trigger

app = App("event-cancels-the-runs-that-it-matches")


@app.function(
    on="event-cancels-the-runs-that-it-matches/go",
    cancel_on=Trigger("event-cancels-the-runs-that-it-matches/stop", match="data.order"),
)
async def ships(ctx: Context, order: int) -> None:
    """Wait between two steps."""
    await ctx.step.run("before", note, "before")
    await ctx.step.sleep("nap", "0.5s")
    await ctx.step.run("after", note, "after")


@app.function(on=Trigger("celeriac/run.cancelled", if_="event.data.app == 'event-cancels-the-runs-that-it-matches'"))
async def hears(ctx: Context) -> str:
    """Keep which run was cancelled."""
    return str(ctx.event.data["run_id"])


async def play(stage: Stage) -> None:
    """Stop one of two orders."""
    stopped = await stage.start("event-cancels-the-runs-that-it-matches/go", {"order": 1})
    other = await stage.start("event-cancels-the-runs-that-it-matches/go", {"order": 2})
    for run_id in (stopped, other):
        await stage.status(run_id, "parked")
    await stage.send("event-cancels-the-runs-that-it-matches/stop", {"order": 3})
    await stage.send("event-cancels-the-runs-that-it-matches/stop", {"order": 1})
    run = await stage.ended(stopped)
    await stage.pass_time("0.5s")
    assert run.status == "cancelled"
    assert (await stage.ended(other)).status == "completed"
    assert [one["run"] for one in stage.notes("after")] == [other]
    assert [one.output for one in await stage.all_ended("hears")] == [stopped]
