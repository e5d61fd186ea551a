"""Of a function with several triggers only the condition that belongs to the event's own name decides."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Event, Trigger

app = App("trigger-condition-belongs-to-its-own-event")

CREATED, UPDATED = (f"trigger-condition-belongs-to-its-own-event/{name}" for name in ("created", "updated"))


@app.function(
    on=[Trigger(CREATED, if_="event.data.type == 'premium'"), Trigger(UPDATED, if_="event.data.type == 'standard'")]
)
async def hears(ctx: Context, type: str) -> list[str]:
    """Return what started it."""
    return [ctx.event.name, type]


async def play(stage: Stage) -> None:
    """Every event with every type."""
    for name in (CREATED, UPDATED):
        await stage.send([Event(name, {"type": type}) for type in ("premium", "standard", "other")])
        await stage.send(name, {})
    outputs = [run.output for run in await stage.all_ended()]
    assert outputs == [[CREATED, "premium"], [UPDATED, "standard"]]
