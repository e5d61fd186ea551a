"""A body that failed before its wait waits at the next attempt, and gets its event."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, RetryAfterError

app = App("wait-comes-after-a-retry")


@app.function(on="wait-comes-after-a-retry/go")
async def fails_then_waits(ctx: Context) -> str:
    """Fail once, then wait."""
    if note("tried") == 1:
        raise RetryAfterError("an initial error", "0.3s")
    event = await ctx.step.wait_for_event("wait", "wait-comes-after-a-retry/resume", timeout="1h", since="1m")
    return "nothing" if event is None else event.name


async def play(stage: Stage) -> None:
    """Send the event once the retry has reached the wait."""
    run_id = await stage.start("wait-comes-after-a-retry/go")
    await stage.status(run_id, "parked")
    assert len(stage.notes("tried")) == 1
    await stage.pass_time("0.3s")
    await stage.send("wait-comes-after-a-retry/resume")
    run = await stage.ended(run_id)
    assert run.output == "wait-comes-after-a-retry/resume"
    assert len(stage.notes("tried")) >= 2
