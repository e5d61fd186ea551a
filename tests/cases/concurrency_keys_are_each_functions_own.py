"""Two functions with the same key and value do not share a concurrency limit of the scope `function`."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import work
from celeriac import App, Concurrency, Context

app = App("concurrency-keys-are-each-functions-own")

BY_USER = Concurrency(1, key="event.data.user", hold="run")


@app.function(on="concurrency-keys-are-each-functions-own/stay", concurrency=BY_USER)
async def stays(ctx: Context, user: str) -> None:
    """Hold the limit for long."""
    await ctx.step.wait_for_event("go", "concurrency-keys-are-each-functions-own/go", timeout="1h")


@app.function(on="concurrency-keys-are-each-functions-own/pass", concurrency=BY_USER)
async def passes(ctx: Context, user: str) -> None:
    """Pass by."""
    await work(ctx)


async def play(stage: Stage) -> None:
    """One passes while the other holds its own limit for the same user."""
    staying = await stage.start("concurrency-keys-are-each-functions-own/stay", {"user": "u"})
    await stage.status(staying, "parked")
    passing = await stage.start("concurrency-keys-are-each-functions-own/pass", {"user": "u"})
    assert (await stage.ended(passing)).status == "completed"
    assert (await stage.run(staying)).status == "parked"
    await stage.send("concurrency-keys-are-each-functions-own/go")
    await stage.all_ended()
