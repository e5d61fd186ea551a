"""A sender that repeats a whole request, because it got no answer, starts nothing twice and wakes nobody twice."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Event

app = App("request-sent-again-starts-nothing")

REQUEST = [
    Event("request-sent-again-starts-nothing/go", {"n": 1}, id="request-1:0"),
    Event("request-sent-again-starts-nothing/go", {"n": 2}, id="request-1:1"),
]
ANSWER = Event("request-sent-again-starts-nothing/answer", {"n": 2}, id="request-2:0")


@app.function(on="request-sent-again-starts-nothing/go")
async def waits_twice(ctx: Context, n: int) -> list[int]:
    """Count the answers to each."""
    name = "request-sent-again-starts-nothing/answer"
    first = await ctx.step.wait_for_event("first", name, match="data.n", timeout="0.6s")
    second = await ctx.step.wait_for_event("second", name, match="data.n", timeout="0.6s")
    return [n, (first is not None) + (second is not None)]


async def play(stage: Stage) -> None:
    """Send both requests twice."""
    started = await stage.send(REQUEST)
    assert len(started) == 2
    assert await stage.send(REQUEST) == []
    for run_id in started:
        await stage.status(run_id, "parked")
    await stage.send(ANSWER)
    await stage.send(ANSWER)
    for _ in range(2):
        await stage.pass_time("0.6s")
    assert sorted(run.output for run in await stage.all_ended()) == [[1, 0], [2, 1]]
