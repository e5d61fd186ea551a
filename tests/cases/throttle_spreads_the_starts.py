"""A throttle lets so many runs start at its pace; the others wait for their turn, and none is lost."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from cases.stages.work import in_order
from celeriac import App, Context, Event, Throttle

app = App("throttle-spreads-the-starts")


@app.function(on="throttle-spreads-the-starts/go", throttle=Throttle(2, per="1s"))
async def starts(ctx: Context) -> None:
    """End at once."""


async def play(stage: Stage) -> None:
    """Four events: one at once, then one for each half of a second."""
    sent_at = stage.now()
    await stage.send([Event("throttle-spreads-the-starts/go")] * 4)
    for _ in range(4):
        await stage.pass_time("0.5s")
    runs = in_order(await stage.all_ended())
    assert [run.status for run in runs] == ["completed"] * 4
    for place, run in enumerate(runs):
        assert run.started_at and run.started_at - sent_at >= place * timedelta(seconds=0.5) - timedelta(seconds=0.01)
