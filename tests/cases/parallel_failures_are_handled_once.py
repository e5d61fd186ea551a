"""A run in which several branches fail has failed once: its failure is handled once."""

from __future__ import annotations

import asyncio

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context
from celeriac.errors import RunFailed

app = App("parallel-failures-are-handled-once")


async def handle(ctx: Context, failed: RunFailed) -> None:
    """Note the failure."""
    note("handled", failed=failed.run_id)


@app.function(on="parallel-failures-are-handled-once/go", retries=0, on_failure=handle)
async def fails_twice(ctx: Context) -> None:
    """Fail in three branches at once."""
    await asyncio.gather(*(ctx.step.run(name, _fail, name) for name in ("a", "b", "c")))


def _fail(name: str) -> None:
    note("step", name=name)
    raise RuntimeError(f"step {name} failed")


async def play(stage: Stage) -> None:
    """Count what was handled."""
    run_id = await stage.start("parallel-failures-are-handled-once/go")
    run = await stage.ended(run_id)
    assert run.error and run.error["code"] == "step_failed"
    await stage.all_ended()
    assert [one["failed"] for one in stage.notes("handled")] == [run_id]
    tried = [one["name"] for one in stage.notes("step")]
    assert tried and len(tried) == len(set(tried)), "a body that had not begun when the first one failed never does"
