"""An invoke starts one run of another function with its data, and returns what that run returned."""

from __future__ import annotations

from typing import Any

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("invoke-returns-the-value-of-its-child")


@app.function()
async def child(ctx: Context, n: int) -> dict[str, int]:
    """Do one step, sleep, and answer."""
    twice = await ctx.step.run("double", _double, n)
    await ctx.step.sleep("nap", "0.3s")
    return {"twice": twice}


def _double(n: int) -> int:
    note("child")
    return 2 * n


@app.function(on="invoke-returns-the-value-of-its-child/go")
async def parent(ctx: Context, n: int) -> list[Any]:
    """Invoke by the function and by its name."""
    first = await ctx.step.invoke("first", child, {"n": n})
    second = await ctx.step.invoke("second", child.name, {"n": n + 1})
    return [first, second]


async def play(stage: Stage) -> None:
    """Lose the workers while the parent waits for the first child."""
    run_id = await stage.start("invoke-returns-the-value-of-its-child/go", {"n": 4})
    await stage.status(run_id, "parked")
    await stage.crash()
    for _ in range(2):
        await stage.pass_time("0.3s")
    run = await stage.ended(run_id)
    assert run.output == [{"twice": 8}, {"twice": 10}]
    assert {one.kind for one in (await stage.steps(run_id)).values()} == {"invoke"}
    assert [one.status for one in await stage.all_ended("child")] == ["completed"] * 2
    assert len(stage.notes("child")) == 2
