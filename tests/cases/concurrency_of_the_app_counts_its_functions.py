"""Functions share the count of a concurrency limit of the scope `app` with one key; each has its own number."""

from __future__ import annotations

from cases.stages.stage import Stage
from cases.stages.work import most_at_once, work
from celeriac import App, Concurrency, Context, Event

app = App("concurrency-of-the-app-counts-its-functions")

GO = "concurrency-of-the-app-counts-its-functions/go"


@app.function(on=GO, concurrency=Concurrency(1, key="event.data.printer", scope="app"))
async def letters(ctx: Context, printer: str) -> None:
    """Print while nobody else does."""
    await work(ctx, by=printer)


@app.function(on=GO, concurrency=Concurrency(2, key="event.data.printer", scope="app"))
async def posters(ctx: Context, printer: str) -> None:
    """Print beside at most one other."""
    await work(ctx, by=printer)


async def play(stage: Stage) -> None:
    """Two printers, and three of each kind for each of them."""
    await stage.send([Event(GO, {"printer": one}) for _ in range(3) for one in "ab"])
    assert [run.status for run in await stage.all_ended()] == ["completed"] * 12
    assert all(most_at_once(stage, by=one) <= 2 for one in "ab")
