"""A sleep lasts at least its time, whatever fails before and after it, and is slept once."""

from __future__ import annotations

from datetime import timedelta

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, RetryAfterError

app = App("sleep-is-never-early")


@app.function(on="sleep-is-never-early/go")
async def naps(ctx: Context) -> bool:
    """Fail before the nap, in the step after it, and in the body after that; each once."""
    if note("tried") == 1:
        raise RetryAfterError("an initial error", "0.3s")
    await ctx.step.sleep("nap", "0.5s")
    await ctx.step.run("test", _fail_once)
    if note("after") == 1:
        raise RuntimeError("an error of the function")
    return True


def _fail_once() -> str:
    if note("step") == 1:
        raise RuntimeError("an error of the step")
    return "done"


async def play(stage: Stage) -> None:
    """Let the first retry's time and the nap's pass."""
    run_id = await stage.start("sleep-is-never-early/go")
    await stage.status(run_id, "parked")
    await stage.pass_time("0.3s")
    await stage.status(run_id, "parked")
    await stage.pass_time("0.5s")
    run = await stage.ended(run_id)
    assert (run.status, run.output) == ("completed", True)
    assert run.ended_at and run.started_at and run.ended_at - run.started_at >= timedelta(seconds=0.8)
    assert (len(stage.notes("step")), len(stage.notes("after"))) == (2, 2)
    assert (await stage.steps(run_id))["test"].attempts == 2
