"""A concurrency limit of runs with a key keeps apart the runs of one value, and lets others pass."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Concurrency, Context

app = App("run-concurrency-goes-by-key")

BY_THREAD = Concurrency(1, key="event.data.thread", hold="run")


@app.function(on="run-concurrency-goes-by-key/go", concurrency=BY_THREAD)
async def answers(ctx: Context, thread: str) -> None:
    """Wait for a word."""
    await ctx.step.wait_for_event("word", "run-concurrency-goes-by-key/word", match="data.thread", timeout="1h")


async def play(stage: Stage) -> None:
    """The second run of a thread waits for its first; that of another does not."""
    go, word = "run-concurrency-goes-by-key/go", "run-concurrency-goes-by-key/word"
    first = await stage.start(go, {"thread": "a"})
    await stage.status(first, "parked")
    second, other = await stage.start(go, {"thread": "a"}), await stage.start(go, {"thread": "b"})
    await stage.status(other, "parked")
    assert (await stage.run(second)).status == "queued"
    await stage.send(word, {"thread": "a"})
    before = await stage.ended(first)
    after = await stage.status(second, "parked")
    assert before.ended_at and after.started_at and before.ended_at <= after.started_at
    for thread in "ab":
        await stage.send(word, {"thread": thread})
    await stage.all_ended()
