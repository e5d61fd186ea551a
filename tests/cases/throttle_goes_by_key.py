"""A throttle with a key has a pace for each of its values."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.stage import Stage
from cases.stages.work import in_order
from celeriac import App, Context, Event, Throttle

app = App("throttle-goes-by-key")


@app.function(on="throttle-goes-by-key/go", throttle=Throttle(1, per="1s", key="event.data.user"))
async def starts(ctx: Context, user: str) -> str:
    """Say for whom."""
    return user


async def play(stage: Stage) -> None:
    """Two for each of two users: one at once for each, and the last ones a second later."""
    sent_at = stage.now()
    await stage.send([Event("throttle-goes-by-key/go", {"user": user}) for _ in range(2) for user in "ab"])
    for _ in range(3):
        await stage.pass_time("0.5s")
    runs = in_order(await stage.all_ended())
    assert sorted(run.output for run in runs) == ["a", "a", "b", "b"]
    assert sorted(run.output for run in runs[:2]) == ["a", "b"]
    for run in runs[2:]:
        assert run.started_at and run.started_at - sent_at >= timedelta(seconds=0.99)
