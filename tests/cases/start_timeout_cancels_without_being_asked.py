"""Runs past their `start_timeout` are cancelled then, all of them, and not when their turn to begin would have come."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from celeriac import App, Context, Event

app = App("start-timeout-cancels-without-being-asked")

#: one start at once, the next four seconds later
LIMITS = {"starts_burst": 1, "starts_per_second": 0.25}


@app.function(on="start-timeout-cancels-without-being-asked/go", start_timeout="0.5s")
async def begins(ctx: Context) -> str:
    """Begin."""
    return "done"


async def play(stage: Stage) -> None:
    """Of ten at most one begins."""
    sent = await stage.send([Event("start-timeout-cancels-without-being-asked/go")] * 10)
    await stage.pass_time("0.5s")
    runs = [await stage.ended(run_id) for run_id in sent]
    cancelled = [run for run in runs if run.status == "cancelled"]
    assert len(cancelled) >= 9
    waits = [run.ended_at - run.created_at for run in cancelled if run.ended_at and run.created_at]
    assert timedelta(seconds=0.5) <= min(waits) and max(waits) < timedelta(seconds=4)
