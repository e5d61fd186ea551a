"""The list of runs comes newest first, in pages that leave out nothing, by status and by function."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Event
from celeriac.platform.durable.run_filter import RunFilter

app = App("run-list-is-paged-and-filtered")

SUCCESSES, FAILURES = 6, 3


@app.function(on="run-list-is-paged-and-filtered/ok")
async def succeeds(ctx: Context, n: int) -> int:
    """Succeed."""
    return n


@app.function(on="run-list-is-paged-and-filtered/failed", retries=0)
async def fails(ctx: Context, n: int) -> None:
    """Fail."""
    raise RuntimeError("fail")


async def ids_of_pages(stage: Stage, where: RunFilter, limit: int) -> list[list[str]]:
    """Turn all pages."""
    pages: list[list[str]] = []
    cursor = None
    while True:
        page = await stage.page(where, limit=limit, cursor=cursor)
        pages.append([run.id for run in page.runs])
        cursor = page.next_cursor
        if cursor is None:
            return pages


async def play(stage: Stage) -> None:
    """List them all, then the failed ones, then those of one function."""
    ok = [Event("run-list-is-paged-and-filtered/ok", {"n": n}) for n in range(SUCCESSES)]
    failed = [Event("run-list-is-paged-and-filtered/failed", {"n": n}) for n in range(FAILURES)]
    good, bad = await stage.send(ok), await stage.send(failed)
    await stage.all_ended("succeeds")
    pages = await ids_of_pages(stage, RunFilter(), 4)
    listed = [one for page in pages for one in page if one in {*good, *bad}]
    assert sorted(listed) == sorted([*good, *bad])
    assert set(listed[:FAILURES]) == set(bad)
    assert [len(page) for page in await ids_of_pages(stage, RunFilter(status="failed"), 2)] == [2, 1]
    assert await ids_of_pages(stage, RunFilter(function_id="succeeds"), SUCCESSES) == [
        [run.id for run in (await stage.runs("succeeds"))[::-1]]
    ]
