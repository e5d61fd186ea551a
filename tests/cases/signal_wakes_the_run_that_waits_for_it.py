"""A signal wakes the run that waits for it, with its data; one that nobody waits for is told so, and is not kept."""

from __future__ import annotations

from typing import Any

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("signal-wakes-the-run-that-waits-for-it")


@app.function(on="signal-wakes-the-run-that-waits-for-it/asked")
async def waits(ctx: Context, order: int, patience: str) -> Any:
    """Wait for the order's approval."""
    return await ctx.step.wait_for_signal("approval", f"approval-{order}", timeout=patience)


@app.function(on="signal-wakes-the-run-that-waits-for-it/approved")
async def gives(ctx: Context, order: int) -> bool:
    """Say whether anybody waited."""
    return await ctx.step.send_signal("tell", f"approval-{order}", {"by": "Ann"})


async def play(stage: Stage) -> None:
    """Approve too early, approve another order, approve this one, approve once more; a second order is left alone."""
    asked, approved = (f"signal-wakes-the-run-that-waits-for-it/{name}" for name in ("asked", "approved"))
    early = await stage.ended(await stage.start(approved, {"order": 1}))
    waiting = await stage.start(asked, {"order": 1, "patience": "1h"})
    alone = await stage.start(asked, {"order": 2, "patience": "0.5s"})
    for run_id in (waiting, alone):
        await stage.status(run_id, "parked")
    other = await stage.ended(await stage.start(approved, {"order": 3}))
    right = await stage.ended(await stage.start(approved, {"order": 1}))
    assert (await stage.ended(waiting)).output == {"by": "Ann"}
    late = await stage.ended(await stage.start(approved, {"order": 1}))
    assert [run.output for run in (early, other, right, late)] == [False, False, True, False]
    await stage.pass_time("0.5s")
    run = await stage.ended(alone)
    assert (run.status, run.output) == ("completed", None)
