"""A cron starts one run when its time has come, read in its time zone, and the next one at the next time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cases.stages.stage import Stage
from celeriac import App, Context, Cron

app = App("cron-starts-a-run-at-its-time")

HOME = True


@app.function("daily-report", on=Cron("23 4 * * *", tz="Asia/Tokyo"))
async def report(ctx: Context) -> list[Any]:
    """Return what started it."""
    return [ctx.event.data, ctx.event.ts.isoformat() if ctx.event.ts else None]


async def play(stage: Stage) -> None:
    """Come to its time."""
    [due] = stage.due("daily-report")
    assert (due.astimezone(ZoneInfo("Asia/Tokyo")).hour, due.minute) == (4, 23)
    assert await stage.runs("daily-report") == []
    await stage.tick("daily-report")
    [run] = await stage.all_ended("daily-report")
    assert run.status == "completed"
    data, ts = run.output
    fired = datetime.fromisoformat(ts).astimezone(UTC)
    assert (data, (fired - due) % timedelta(days=1)) == ({}, timedelta(0))
    assert stage.due("daily-report") == [fired + timedelta(days=1)]
