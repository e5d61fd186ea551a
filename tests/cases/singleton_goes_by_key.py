"""A singleton with a key lets one run stand for each of its values."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Event, Singleton

app = App("singleton-goes-by-key")

DONE = "singleton-goes-by-key/done"


@app.function(on="singleton-goes-by-key/go", singleton=Singleton("event.data.user"))
async def waits(ctx: Context, user: object) -> object:
    """Wait for a word."""
    await ctx.step.wait_for_event("done", DONE, timeout="1h")
    return user


async def play(stage: Stage) -> None:
    """Each user's first run stands; 1 and 1.0 are one user, and "1" another."""
    runs = await stage.send(
        [Event("singleton-goes-by-key/go", {"user": user}) for user in ("a", "b", 1, "a", 1.0, "1")]
    )
    status = [(await stage.run(run_id)).status == "skipped" for run_id in runs]
    assert status == [False, False, False, True, True, False]
    for place in (0, 1, 2, 5):
        await stage.status(runs[place], "parked")
    await stage.send(DONE)
    outputs = {run.id: run.output for run in await stage.all_ended()}
    assert [outputs[run_id] for run_id in runs] == ["a", "b", 1, None, None, "1"]
