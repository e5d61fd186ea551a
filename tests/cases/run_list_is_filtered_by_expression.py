"""The list of runs can be asked by an expression over their events or their outcomes, and is paged all the same."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Event
from celeriac.platform.durable.run_filter import RunFilter

app = App("run-list-is-filtered-by-expression")

RUNS = 10


@app.function("doubles", on="run-list-is-filtered-by-expression/ok")
async def doubles(ctx: Context, n: int) -> dict[str, int]:
    """Return twice the number."""
    return {"twice": 2 * n}


async def listed(stage: Stage, if_: str) -> list[int]:
    """Turn pages of three until the end; return the numbers of the runs, in order."""
    found: list[int] = []
    cursor = None
    while True:
        page = await stage.page(RunFilter(function_id="doubles", if_=if_), limit=3, cursor=cursor)
        assert len(page.runs) <= 3
        found += [run.output["twice"] // 2 for run in page.runs]
        cursor = page.next_cursor
        if cursor is None:
            return sorted(found)


async def play(stage: Stage) -> None:
    """Ask for the last four, in two ways."""
    await stage.send([Event("run-list-is-filtered-by-expression/ok", {"n": n}) for n in range(RUNS)])
    await stage.all_ended("doubles")
    by_event = f"event.name == '{app.name}/ok' && event.data.n > 5"
    assert await listed(stage, by_event) == [6, 7, 8, 9]
    assert await listed(stage, "run.output.twice > 11") == [6, 7, 8, 9]
    assert await listed(stage, "run.output.twice / event.data.n == 2") == list(range(1, RUNS))
