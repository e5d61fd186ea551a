"""A concurrency limit with a key holds for each of its values, beside the one for all of them."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import most_at_once, work
from celeriac import App, Concurrency, Context, Event

app = App("concurrency-goes-by-key")

LIMITS_OF_IT = [Concurrency(2), Concurrency(1, key="event.data.customer")]


@app.function(on="concurrency-goes-by-key/go", concurrency=LIMITS_OF_IT)
async def charge(ctx: Context, customer: str) -> None:
    """Work for a customer."""
    await work(ctx, by=customer)


async def play(stage: Stage) -> None:
    """Three customers, three events for each."""
    await stage.send([Event("concurrency-goes-by-key/go", {"customer": one}) for _ in range(3) for one in "abc"])
    assert [run.status for run in await stage.all_ended()] == ["completed"] * 9
    assert [most_at_once(stage, by=one) for one in "abc"] == [1, 1, 1]
    assert most_at_once(stage) <= 2
