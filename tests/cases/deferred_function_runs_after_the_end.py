"""A function that is deferred runs once when the run has ended, also when it has failed, and not before."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("deferred-function-runs-after-the-end")


@app.function()
async def cleanup(ctx: Context, n: int) -> int:
    """Return what is to be cleaned up."""
    return n


@app.function(on="deferred-function-runs-after-the-end/go", retries=0)
async def works(ctx: Context, n: int) -> None:
    """Defer, nap, and fail where n is odd."""
    await ctx.step.defer("later", cleanup, {"n": n})
    await ctx.step.sleep("nap", "0.3s")
    if n % 2:
        raise RuntimeError("odd")


async def play(stage: Stage) -> None:
    """One run completes, one fails."""
    sent = [await stage.start("deferred-function-runs-after-the-end/go", {"n": n}) for n in (1, 2)]
    for run_id in sent:
        await stage.status(run_id, "parked")
    assert await stage.runs("cleanup") == []
    await stage.pass_time("0.3s")
    ended = [await stage.ended(run_id) for run_id in sent]
    assert [run.status for run in ended] == ["failed", "completed"]
    cleaned = await stage.all_ended("cleanup")
    assert sorted(run.output for run in cleaned) == [1, 2]
    ends = {n: run.ended_at for n, run in zip((1, 2), ended, strict=True) if run.ended_at}
    assert all(run.created_at and run.created_at >= ends[run.output] for run in cleaned)
