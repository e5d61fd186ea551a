"""A step that executes while waits beside it run out, and wake the run, is not begun a second time."""

from __future__ import annotations

import asyncio

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, Event
from waiting import work_for

app = App("executing-step-is-not-begun-again")


@app.function(on="executing-step-is-not-begun-again/go", retries=0)
async def works_beside_waits(ctx: Context) -> tuple[str, Event | None, Event | None]:
    """One step that takes long, and two waits that end meanwhile."""
    return await asyncio.gather(
        ctx.step.run("long", _work),
        ctx.step.wait_for_event("soon", "executing-step-is-not-begun-again/never", timeout="0.2s"),
        ctx.step.wait_for_event("later", "executing-step-is-not-begun-again/never", timeout="0.4s"),
    )


def _work() -> str:
    note("began")
    work_for(0.8)
    return "worked"


async def play(stage: Stage) -> None:
    """Let the waits run out."""
    run_id = await stage.start("executing-step-is-not-begun-again/go")
    await stage.pass_time("0.4s")
    run = await stage.ended(run_id)
    assert run.output == ["worked", None, None]
    assert len(stage.notes("began")) == 1
