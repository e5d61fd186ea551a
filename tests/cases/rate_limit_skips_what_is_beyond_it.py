"""A rate limit lets so many runs begin within its time; other events are skipped, and told when the next may begin."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from celeriac import App, Context, Event, RateLimit

app = App("rate-limit-skips-what-is-beyond-it")


@app.function(on="rate-limit-skips-what-is-beyond-it/go", rate_limit=RateLimit(2, per="1h", key="event.data.user"))
async def works(ctx: Context, user: str) -> str:
    """Say for whom."""
    return user


async def play(stage: Stage) -> None:
    """Five events of one user and one of another."""
    go = "rate-limit-skips-what-is-beyond-it/go"
    await stage.send([Event(go, {"user": "a"})] * 3)
    await stage.send([Event(go, {"user": user}) for user in "aab"])
    runs = await stage.all_ended()
    assert sorted(str(run.output) for run in runs if run.status == "completed") == ["a", "a", "b"]
    skipped = [run for run in runs if run.status == "skipped"]
    assert [run.reason for run in skipped] == ["rate_limited"] * 3
    first = min(run.created_at for run in runs if run.created_at)
    assert {run.retry_at for run in skipped} == {first + timedelta(hours=1)}
