"""While a run of a singleton stands, even asleep, further ones are skipped; once it has ended, the next one begins."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Singleton

app = App("singleton-skips-a-second-run")


DONE = "singleton-skips-a-second-run/done"


@app.function(on="singleton-skips-a-second-run/go", singleton=Singleton())
async def alone(ctx: Context) -> None:
    """Wait for a word."""
    await ctx.step.wait_for_event("done", DONE, timeout="1h")


async def play(stage: Stage) -> None:
    """One waits, one is skipped, and one comes later."""
    first = await stage.start("singleton-skips-a-second-run/go")
    await stage.status(first, "parked")
    second = await stage.run(await stage.start("singleton-skips-a-second-run/go"))
    assert (second.status, second.reason) == ("skipped", "singleton")
    await stage.send(DONE)
    assert (await stage.ended(first)).status == "completed"
    third = await stage.start("singleton-skips-a-second-run/go")
    await stage.status(third, "parked")
    await stage.send(DONE)
    assert [run.status for run in await stage.all_ended()] == ["completed", "skipped", "completed"]
