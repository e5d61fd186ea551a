"""A debounced function runs once for events that follow each other closely, with the last; later ones start anew."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, Debounce

app = App("debounce-runs-once-with-the-last-event")

PERIOD = 1.5


@app.function(on="debounce-runs-once-with-the-last-event/go", debounce=Debounce(PERIOD, key="event.data.name"))
async def debounced(ctx: Context, n: int, name: str) -> int:
    """Return which event it was."""
    note("ran", n=n)
    return n


async def play(stage: Stage) -> None:
    """Each event puts the start off."""
    for n in (1, 2, 3):
        await stage.send("debounce-runs-once-with-the-last-event/go", {"n": n, "name": "a"})
        await stage.pass_time(PERIOD / 2)
    assert stage.notes("ran") == []
    await stage.pass_time(PERIOD / 2)
    assert [run.output for run in await stage.all_ended("debounced")] == [3]
    await stage.send("debounce-runs-once-with-the-last-event/go", {"n": 4, "name": "a"})
    await stage.pass_time(PERIOD)
    assert [run.output for run in await stage.all_ended("debounced")] == [3, 4]
