"""Of several functions that one event starts, each has its own concurrency limit."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import most_at_once, work
from celeriac import App, Context, Event

app = App("concurrency-of-functions-that-one-event-starts")

GO = "concurrency-of-functions-that-one-event-starts/go"


@app.function(on=GO, concurrency=1)
async def one_at_a_time(ctx: Context) -> None:
    """Work alone."""
    await work(ctx, by="one")


@app.function(on=GO, concurrency=2)
async def two_at_a_time(ctx: Context) -> None:
    """Work in pairs."""
    await work(ctx, by="two")


async def play(stage: Stage) -> None:
    """Five events for both."""
    await stage.send([Event(GO)] * 5)
    assert [run.status for run in await stage.all_ended()] == ["completed"] * 10
    assert most_at_once(stage, by="one") == 1
    assert most_at_once(stage, by="two") <= 2
