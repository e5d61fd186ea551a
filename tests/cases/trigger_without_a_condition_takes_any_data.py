"""A trigger without a condition takes any data, also beside one that has a condition for another event."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Trigger

app = App("trigger-without-a-condition-takes-any-data")

CREATED, CANCELLED = (f"trigger-without-a-condition-takes-any-data/{name}" for name in ("created", "cancelled"))


@app.function(on=[Trigger(CREATED, if_="event.data.amount > 100"), CANCELLED])
async def hears(ctx: Context, amount: int) -> list[object]:
    """Return what started it."""
    return [ctx.event.name, amount]


async def play(stage: Stage) -> None:
    """The same amount with both events."""
    for amount in (50, 150):
        for name in (CREATED, CANCELLED):
            await stage.send(name, {"amount": amount})
    outputs = [run.output for run in await stage.all_ended()]
    assert outputs == [[CANCELLED, 50], [CREATED, 150], [CANCELLED, 150]]
