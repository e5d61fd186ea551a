"""Events with the same id start one run between them; with another id, another one."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Event

app = App("event-id-starts-one-run")


@app.function(on="event-id-starts-one-run/go")
async def runs(ctx: Context, n: int) -> int:
    """Return what the event says."""
    return n


async def play(stage: Stage) -> None:
    """Send one id twice, then another."""
    [first] = await stage.send(Event("event-id-starts-one-run/go", {"n": 1}, id="abc"))
    assert await stage.send(Event("event-id-starts-one-run/go", {"n": 2}, id="abc")) == []
    [second] = await stage.send(Event("event-id-starts-one-run/go", {"n": 3}, id="def"))
    assert [run.id for run in await stage.all_ended()] == [first, second]
    assert [run.output for run in await stage.runs()] == [1, 3]
