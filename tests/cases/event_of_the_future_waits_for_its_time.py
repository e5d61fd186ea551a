"""An event whose time is still to come starts its run then, and no sooner."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from celeriac import App, Context, Event

app = App("event-of-the-future-waits-for-its-time")


@app.function(on="event-of-the-future-waits-for-its-time/go")
async def runs(ctx: Context) -> str:
    """Be quick."""
    return "done"


async def play(stage: Stage) -> None:
    """One event of now, one of half a second from now."""
    moment = stage.now() + timedelta(seconds=0.5)
    now = await stage.start("event-of-the-future-waits-for-its-time/go")
    later = await stage.start(Event("event-of-the-future-waits-for-its-time/go", ts=moment))
    assert (await stage.ended(now)).output == "done"
    await stage.pass_time("0.5s")
    run = await stage.ended(later)
    assert run.output == "done" and run.started_at and run.started_at >= moment
