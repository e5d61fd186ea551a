"""A cron that a deploy changes starts runs at its new times and none at its old ones."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Cron

HOME = True


async def report(ctx: Context) -> str:
    """Return for which time it was started."""
    return ctx.event.ts.strftime("%H:%M") if ctx.event.ts else ""


app = App("cron-that-is-changed-goes-by-its-new-times")
app.function("report-at-another-time", on=Cron("23 4 * * *"))(report)

newer = App(app.name)
newer.function("report-at-another-time", on=Cron("41 16 * * *"))(report)


async def play(stage: Stage) -> None:
    """Its old time starts nothing."""
    stage.deploy(newer)
    assert [due.strftime("%H:%M") for due in stage.due("report-at-another-time")] == ["16:41"]
    await stage.tick("report-at-another-time")
    assert [run.output for run in await stage.all_ended("report-at-another-time")] == ["16:41"]
