"""A cron that a deploy adds starts runs, and the one that was there goes on."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Cron

HOME = True


async def report(ctx: Context) -> str:
    """Return for which time it was started."""
    return ctx.event.ts.strftime("%H:%M") if ctx.event.ts else ""


app = App("cron-that-is-added-starts-runs")
app.function("report-with-more", on=Cron("23 4 * * *"))(report)

newer = App(app.name)
newer.function("report-with-more", on=[Cron("23 4 * * *"), Cron("41 16 * * *")])(report)


async def play(stage: Stage) -> None:
    """Each of the two has its time."""
    [before] = stage.due("report-with-more")
    stage.deploy(newer)
    assert before in stage.due("report-with-more")
    await stage.tick("report-with-more")
    assert sorted(run.output for run in await stage.all_ended("report-with-more")) == ["04:23", "16:41"]
