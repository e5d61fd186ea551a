"""With `mode="cancel"` a new run of a singleton takes the place of the one that stands."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Singleton

app = App("singleton-cancels-the-run-that-stands")

DONE = "singleton-cancels-the-run-that-stands/done"


@app.function(on="singleton-cancels-the-run-that-stands/go", singleton=Singleton("event.data.doc", mode="cancel"))
async def index(ctx: Context, doc: str, n: int) -> int:
    """Wait for a word."""
    await ctx.step.wait_for_event("done", DONE, timeout="1h")
    return n


async def play(stage: Stage) -> None:
    """The first is cancelled by the second; one of another document stays."""
    go = "singleton-cancels-the-run-that-stands/go"
    first = await stage.start(go, {"doc": "a", "n": 1})
    other = await stage.start(go, {"doc": "b", "n": 2})
    await stage.status(first, "parked")
    await stage.status(other, "parked")
    second = await stage.start(go, {"doc": "a", "n": 3})
    cancelled = await stage.ended(first)
    assert (cancelled.status, cancelled.reason) == ("cancelled", "singleton")
    await stage.status(second, "parked")
    await stage.send(DONE)
    assert [run.output for run in await stage.all_ended() if run.status == "completed"] == [2, 3]
