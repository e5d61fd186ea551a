"""A link that has used its time ends after a step, and the next one goes on without repeating anything."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import SETTINGS, Stage
from celeriac import App, Context
from waiting import work_for

app = App("link-over-its-budget-hands-on")

STEPS = 5
SECONDS = SETTINGS["link_budget_seconds"] / 2


@app.function(on="link-over-its-budget-hands-on/go")
async def takes_long(ctx: Context) -> list[int]:
    """Take more than the time of two links."""
    return [await ctx.step.run(f"s{n}", _work, n) for n in range(STEPS)]


def _work(n: int) -> int:
    work_for(SECONDS)
    note("step", n=n)
    return n


async def play(stage: Stage) -> None:
    """Count links and bodies."""
    run = await stage.ended(await stage.start("link-over-its-budget-hands-on/go"))
    assert run.output == list(range(STEPS))
    assert [one["n"] for one in stage.notes("step")] == list(range(STEPS))
    assert 2 <= run.links <= STEPS
