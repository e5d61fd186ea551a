"""While a run of a singleton stands, even asleep, further ones are skipped; once it has ended, the next one begins."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Singleton

app = App("singleton-skips-a-second-run")


@app.function(on="singleton-skips-a-second-run/go", singleton=Singleton())
async def alone(ctx: Context) -> None:
    """Sleep."""
    await ctx.step.sleep("nap", "0.5s")


async def play(stage: Stage) -> None:
    """One sleeps, one is skipped, and one comes later."""
    first = await stage.start("singleton-skips-a-second-run/go")
    await stage.status(first, "parked")
    second = await stage.run(await stage.start("singleton-skips-a-second-run/go"))
    assert (second.status, second.reason) == ("skipped", "singleton")
    await stage.pass_time("0.5s")
    assert (await stage.ended(first)).status == "completed"
    await stage.start("singleton-skips-a-second-run/go")
    await stage.pass_time("0.5s")
    assert [run.status for run in await stage.all_ended()] == ["completed", "skipped", "completed"]
