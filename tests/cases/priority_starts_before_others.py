"""Of the runs that wait for their start, those of a higher priority go first, and those of a lower one last."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Concurrency, Context, Priority

app = App("priority-starts-before-others")

OPEN = "priority-starts-before-others/open"


@app.function(
    on="priority-starts-before-others/go",
    concurrency=Concurrency(1, hold="run"),
    priority=Priority("event.data.seconds"),
)
async def serve(ctx: Context, name: str, seconds: int | None = None) -> str:
    """Be the first, who waits, or one of the others."""
    note("served", name=name)
    if name == "first":
        await ctx.step.wait_for_event("open", OPEN, timeout="1h")
    return name


async def play(stage: Stage) -> None:
    """All others queue behind the first, who is replayed when it wakes."""
    go = "priority-starts-before-others/go"
    first = await stage.start(go, {"name": "first"})
    await stage.status(first, "parked")
    for name, seconds in {"late": -60, "plain": None, "soon": 60, "at once": 120}.items():
        await stage.start(go, {"name": name, "seconds": seconds})
    await stage.send(OPEN)
    await stage.all_ended()
    served = [one["name"] for one in stage.notes("served")]
    assert served == ["first", "first", "at once", "soon", "plain", "late"]
