"""A debounced function with a key runs once for each of its values."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Debounce, Event

app = App("debounce-goes-by-key")


@app.function(on="debounce-goes-by-key/go", debounce=Debounce("1s", key="event.data.name"))
async def debounced(ctx: Context, n: int, name: str) -> list[object]:
    """Return which event it was."""
    return [name, n]


async def play(stage: Stage) -> None:
    """Two events for each of three names."""
    events = [Event("debounce-goes-by-key/go", {"n": n, "name": name}) for n in (1, 2) for name in "abc"]
    for event in events:
        await stage.send(event)
    await stage.pass_time("1s")
    assert sorted(run.output for run in await stage.all_ended("debounced")) == [["a", 2], ["b", 2], ["c", 2]]
