"""Waits whose conditions break on the event that comes do not keep others of the same event from being met."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Event

app = App("broken-waits-leave-good-ones-alone")

BROKEN = 12
CONDITIONS = {
    "good": "async.data.name == 'Alice'",
    "divides": "async.data.age / 0 == 1",
    "missing": "async.data.address.street == event.data.street",
}


@app.function(on="broken-waits-leave-good-ones-alone/go")
async def waits(ctx: Context, condition: str) -> str | None:
    """Wait by this condition."""
    event = await ctx.step.wait_for_event(
        "wait", "broken-waits-leave-good-ones-alone/match", if_=CONDITIONS[condition], timeout="0.8s"
    )
    return None if event is None else str(event.data["name"])


async def play(stage: Stage) -> None:
    """One good wait among many that break."""
    name = "broken-waits-leave-good-ones-alone/go"
    kinds = ["divides", "missing"] * (BROKEN // 2)
    broken = await stage.send([Event(name, {"condition": kind}) for kind in kinds])
    good = await stage.start(name, {"condition": "good"})
    for run_id in [*broken, good]:
        await stage.status(run_id, "parked")
    await stage.send("broken-waits-leave-good-ones-alone/match", {"name": "Bob", "age": 1})
    await stage.send("broken-waits-leave-good-ones-alone/match", {"name": "Alice", "age": 1})
    assert (await stage.ended(good)).output == "Alice"
    await stage.pass_time("0.8s")
    assert [(await stage.ended(run_id)).output for run_id in broken] == [None] * BROKEN
