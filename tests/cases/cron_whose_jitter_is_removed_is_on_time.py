"""A cron whose jitter a deploy removes is on time from the next run on."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Cron

HOME = True


async def report(ctx: Context) -> str:
    """Return for which time it was started."""
    return ctx.event.ts.strftime("%H:%M") if ctx.event.ts else ""


app = App("cron-whose-jitter-is-removed-is-on-time")
app.function("report-on-time", on=Cron("23 4 * * *", jitter="5m"))(report)

newer = App(app.name)
newer.function("report-on-time", on=Cron("23 4 * * *"))(report)


async def play(stage: Stage) -> None:
    """The very next run is on time."""
    [late] = stage.due("report-on-time")
    stage.deploy(newer)
    [due] = stage.due("report-on-time")
    assert due == late.replace(hour=4, minute=23, second=0, microsecond=0)
    await stage.tick("report-on-time")
    assert [run.output for run in await stage.all_ended("report-on-time")] == ["04:23"]
