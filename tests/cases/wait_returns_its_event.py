"""A wait for an event parks the run until the event comes, and returns it; other events leave it alone."""

from __future__ import annotations

from typing import Any

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("wait-returns-its-event")


@app.function(on="wait-returns-its-event/go")
async def waits(ctx: Context, order: int) -> list[Any]:
    """Wait for what belongs to the order."""
    event = await ctx.step.wait_for_event("answer", "wait-returns-its-event/resume", match="data.order", timeout="1h")
    return [] if event is None else [event.name, event.data]


async def play(stage: Stage) -> None:
    """Send an event of another name, one of another order, and the right one."""
    run_id = await stage.start("wait-returns-its-event/go", {"order": 7})
    await stage.status(run_id, "parked")
    await stage.send("wait-returns-its-event/other", {"order": 7})
    await stage.send("wait-returns-its-event/resume", {"order": 8})
    assert await stage.steps(run_id) == {}
    await stage.send("wait-returns-its-event/resume", {"order": 7, "paid": True})
    run = await stage.ended(run_id)
    assert run.output == ["wait-returns-its-event/resume", {"order": 7, "paid": True}]
    assert (await stage.steps(run_id))["answer"].kind == "event"
