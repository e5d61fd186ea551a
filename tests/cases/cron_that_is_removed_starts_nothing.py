"""A cron that a deploy removes starts nothing any more; the function's other triggers do."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Cron

HOME = True


async def report(ctx: Context) -> str:
    """Return for which time it was started."""
    return ctx.event.ts.strftime("%H:%M") if ctx.event.ts else ""


app = App("cron-that-is-removed-starts-nothing")
app.function("report-on-demand", on=Cron("23 4 * * *"))(report)

newer = App(app.name)
newer.function("report-on-demand", on="cron-that-is-removed-starts-nothing/go")(report)


async def play(stage: Stage) -> None:
    """Nothing is due; an event starts a run."""
    stage.deploy(newer)
    assert stage.due("report-on-demand") == []
    await stage.tick("report-on-demand")
    assert await stage.runs("report-on-demand") == []
    run = await stage.ended(await stage.start("cron-that-is-removed-starts-nothing/go"))
    assert run.status == "completed"
