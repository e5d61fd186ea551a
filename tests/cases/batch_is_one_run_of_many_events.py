"""A batching function runs once for as many events as it takes, or for those that came within its time."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Batch, Context, Event

app = App("batch-is-one-run-of-many-events")


@app.function(on="batch-is-one-run-of-many-events/go", batch=Batch(3, timeout="1s", key="event.data.name"))
async def gathers(ctx: Context) -> list[str]:
    """Return what came together."""
    return [f"{event.data['name']}{event.data['n']}" for event in ctx.events]


async def play(stage: Stage) -> None:
    """Four of one name, two of another: one batch is full at once, two wait for their time."""
    sent = [Event("batch-is-one-run-of-many-events/go", {"name": name, "n": n}) for n in (1, 2) for name in "ab"]
    sent += [Event("batch-is-one-run-of-many-events/go", {"name": "a", "n": n}) for n in (3, 4)]
    for event in sent:
        await stage.send(event)
    await stage.pass_time("1s")
    outputs = sorted(run.output for run in await stage.all_ended("gathers"))
    assert outputs == [["a1", "a2", "a3"], ["a4"], ["b1", "b2"]]
