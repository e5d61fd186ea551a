"""A run past its `timeout` is cancelled also while it waits for something else that would come much later."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from celeriac import App, Context, Event

app = App("timeout-ends-a-run-that-stands-still")


@app.function(on="timeout-ends-a-run-that-stands-still/go", timeout="0.5s")
async def waits(ctx: Context) -> None:
    """Wait for what nobody sends."""
    await ctx.step.wait_for_event("wait", "timeout-ends-a-run-that-stands-still/never", timeout="1h")


async def play(stage: Stage) -> None:
    """All of them are cancelled, and none too early."""
    sent = await stage.send([Event("timeout-ends-a-run-that-stands-still/go")] * 5)
    for run_id in sent:
        await stage.status(run_id, "parked")
    await stage.pass_time("0.5s")
    runs = [await stage.ended(run_id) for run_id in sent]
    assert [(run.status, run.reason) for run in runs] == [("cancelled", "timeout")] * 5
    lasted = [run.ended_at - run.started_at for run in runs if run.ended_at and run.started_at]
    assert min(lasted) >= timedelta(seconds=0.5)
