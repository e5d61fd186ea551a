"""`on_failure` is a run of its own, with retries of its own: it has the event that failed and is told how it failed."""

from __future__ import annotations

from typing import Any

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context
from celeriac.errors import RunFailed

app = App("on-failure-gets-the-event-and-the-error")


async def handle(ctx: Context, failed: RunFailed) -> dict[str, Any]:
    """Fail once, then keep what was told."""
    if note("handling") == 1:
        raise RuntimeError("not yet")
    return {"event": ctx.event.data, "run": failed.run_id, "function": failed.function_id, "why": str(failed)}


@app.function(on="on-failure-gets-the-event-and-the-error/go", retries=0, on_failure=handle)
async def always_fails(ctx: Context, n: int) -> None:
    """Fail where n is below zero."""
    if n < 0:
        raise ValueError("n is below zero")


async def play(stage: Stage) -> None:
    """One run fails, one does not."""
    fine = await stage.ended(await stage.start("on-failure-gets-the-event-and-the-error/go", {"n": 1}))
    failed = await stage.ended(await stage.start("on-failure-gets-the-event-and-the-error/go", {"n": -1}))
    assert (fine.status, failed.status) == ("completed", "failed")
    [handled] = await stage.all_ended("always-fails.on-failure")
    assert handled.output == {
        "event": {"n": -1},
        "run": failed.id,
        "function": "always-fails",
        "why": "n is below zero",
    }
    assert len(stage.notes("handling")) == 2
