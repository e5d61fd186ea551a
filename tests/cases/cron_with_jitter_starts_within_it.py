"""A cron with jitter starts its run late by less than that, by the same time for all workers."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from celeriac import App, Context, Cron

HOME = True


async def report(ctx: Context) -> str:
    """Return for which time it was started."""
    return ctx.event.ts.strftime("%H:%M") if ctx.event.ts else ""


app = App("cron-with-jitter-starts-within-it")
app.function("report-in-a-while", on=Cron("23 4 * * *", jitter="5m"))(report)

newer = App(app.name)
newer.function("report-in-a-while", on=Cron("23 4 * * *", jitter="5m"))(report)


async def play(stage: Stage) -> None:
    """A deploy that changes nothing does not move it."""
    [due] = stage.due("report-in-a-while")
    tick = due.replace(hour=4, minute=23, second=0, microsecond=0)
    assert timedelta(0) < due - tick < timedelta(minutes=5)
    stage.deploy(newer)
    assert stage.due("report-in-a-while") == [due]
    await stage.tick("report-in-a-while")
    assert [run.output for run in await stage.all_ended("report-in-a-while")] == ["04:23"]
