"""Steps side by side all run, each once, and their values come back in the order of the calls."""

from __future__ import annotations

import asyncio

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context
from waiting import work_for

app = App("parallel-steps-all-run")


@app.function(on="parallel-steps-all-run/go")
async def four_at_once(ctx: Context) -> list[str]:
    """Four steps that take the less time the later they come."""
    return list(await asyncio.gather(*(ctx.step.run(f"p{n}", _work, f"p{n}", 0.4 - n * 0.1) for n in range(4))))


def _work(name: str, seconds: float) -> str:
    note("began", name=name)
    work_for(seconds)
    note("ended", name=name)
    return name


async def play(stage: Stage) -> None:
    """Look at how the bodies overlapped."""
    run_id = await stage.start("parallel-steps-all-run/go")
    run = await stage.ended(run_id)
    assert run.output == ["p0", "p1", "p2", "p3"]
    assert sorted(one["name"] for one in stage.notes("began")) == run.output
    [first_ended], [last_began] = stage.notes("ended", name="p0"), stage.notes("began", name="p3")
    assert last_began["time"] < first_ended["time"]
    assert [one.attempts for one in (await stage.steps(run_id)).values()] == [1, 1, 1, 1]
