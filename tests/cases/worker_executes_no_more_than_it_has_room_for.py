"""A worker executes no more links at once than it was started for; the others wait."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import most_in_one_process, work
from celeriac import App, Context, Event

app = App("worker-executes-no-more-than-it-has-room-for")

GO = "worker-executes-no-more-than-it-has-room-for/go"


@app.function(on=GO)
async def works(ctx: Context) -> None:
    """Work."""
    await work(ctx)


async def play(stage: Stage) -> None:
    """More runs than all workers have room for."""
    runs = 3 * stage.room
    await stage.send([Event(GO)] * runs)
    await stage.all_ended()
    assert len(stage.notes("ended")) == runs
    assert most_in_one_process(stage) <= stage.room
