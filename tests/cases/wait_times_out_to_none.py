"""A wait whose event does not come in time returns None, no sooner than its time, and the run goes on."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("wait-times-out-to-none")


@app.function(on="wait-times-out-to-none/go")
async def waits(ctx: Context) -> list[object]:
    """Wait for what nobody sends."""
    return [await ctx.step.wait_for_event("wait", "wait-times-out-to-none/never", timeout="0.5s"), "DONE"]


async def play(stage: Stage) -> None:
    """Let the time pass; what comes afterwards is too late."""
    run_id = await stage.start("wait-times-out-to-none/go")
    await stage.status(run_id, "parked")
    await stage.pass_time("0.5s")
    run = await stage.ended(run_id)
    assert run.output == [None, "DONE"]
    assert run.ended_at and run.started_at and run.ended_at - run.started_at >= timedelta(seconds=0.5)
    assert await stage.send("wait-times-out-to-none/never") == []
    assert (await stage.run(run_id)) == run
