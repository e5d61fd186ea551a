"""An event that a step sends starts its runs once, however often the body is run again."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("sent-event-starts-its-runs-once")


@app.function(on="sent-event-starts-its-runs-once/go", retries=2)
async def sends(ctx: Context) -> list[str]:
    """Send, fail, and sleep."""
    ids = await ctx.step.send_event("tell", "sent-event-starts-its-runs-once/told", {"n": 1})
    if note("body") == 1:
        raise RuntimeError("an error after the event was sent")
    await ctx.step.sleep("nap", "0.3s")
    return ids


@app.function(on="sent-event-starts-its-runs-once/told")
async def told(ctx: Context, n: int) -> int:
    """Return what it was told."""
    return n


async def play(stage: Stage) -> None:
    """The retry and the nap replay the sending."""
    run_id = await stage.start("sent-event-starts-its-runs-once/go")
    await stage.pass_time("0.3s")
    run = await stage.ended(run_id)
    [heard] = await stage.all_ended("told")
    assert run.output == [heard.event_id]
    assert heard.output == 1
    assert len(stage.notes("body")) >= 2
