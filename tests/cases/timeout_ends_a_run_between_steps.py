"""A run past its `timeout` is cancelled: what it has done stays, its next step never begins."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("timeout-ends-a-run-between-steps")


@app.function(on="timeout-ends-a-run-between-steps/go", timeout="0.8s")
async def three_steps(ctx: Context) -> bool:
    """Take three times half of a second."""
    for name in "abc":
        await ctx.step.sleep(f"before-{name}", "0.5s" if name != "a" else 0)
        await ctx.step.run(name, note, name)
    return True


async def play(stage: Stage) -> None:
    """The timeout falls between the second and the third step."""
    run_id = await stage.start("timeout-ends-a-run-between-steps/go")
    await stage.pass_time("0.5s")
    await stage.pass_time("0.3s")
    run = await stage.ended(run_id)
    await stage.pass_time("0.2s")
    assert (run.status, run.reason) == ("cancelled", "timeout")
    assert [len(stage.notes(name)) for name in "abc"] == [1, 1, 0]
    assert {"a", "b"} <= set(await stage.steps(run_id))
