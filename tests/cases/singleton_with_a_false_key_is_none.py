"""An event for which the key of a singleton is false, or missing, starts a run like any other."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Singleton

app = App("singleton-with-a-false-key-is-none")

DONE = "singleton-with-a-false-key-is-none/done"


@app.function(on="singleton-with-a-false-key-is-none/go", singleton=Singleton("event.data.alone"))
async def waits(ctx: Context) -> None:
    """Wait for a word."""
    await ctx.step.wait_for_event("done", DONE, timeout="1h")


async def play(stage: Stage) -> None:
    """Two of each kind stand beside each other; of those that are to be alone, one."""
    go = "singleton-with-a-false-key-is-none/go"
    beside = [await stage.start(go, data) for data in ({"alone": False}, {}) for _ in range(2)]
    alone = [await stage.start(go, {"alone": True}) for _ in range(2)]
    for run_id in (*beside, alone[0]):
        await stage.status(run_id, "parked")
    await stage.send(DONE)
    runs = {run.id: run.status for run in await stage.all_ended()}
    assert [runs[run_id] for run_id in (*beside, *alone)] == ["completed"] * 5 + ["skipped"]
