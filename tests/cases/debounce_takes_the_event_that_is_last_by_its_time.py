"""Of events that come out of order a debounced function takes the one that happened last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cases.stages.stage import Stage
from celeriac import App, Context, Debounce, Event

app = App("debounce-takes-the-event-that-is-last-by-its-time")

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


@app.function(on="debounce-takes-the-event-that-is-last-by-its-time/go", debounce=Debounce("1s"))
async def debounced(ctx: Context, word: str) -> str:
    """Return which event it was."""
    return word


async def play(stage: Stage) -> None:
    """The older event comes after the newer one."""
    name = "debounce-takes-the-event-that-is-last-by-its-time/go"
    await stage.send(Event(name, {"word": "newer"}, ts=NOON))
    await stage.send(Event(name, {"word": "older"}, ts=NOON - timedelta(minutes=1)))
    await stage.pass_time("1s")
    assert [run.output for run in await stage.all_ended("debounced")] == ["newer"]
