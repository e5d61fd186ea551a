"""A branch goes on to its next step while its sibling's first one still executes."""

from __future__ import annotations

import asyncio

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context
from waiting import work_for

app = App("fast-branch-waits-for-no-other")


@app.function(on="fast-branch-waits-for-no-other/go", retries=0)
async def race(ctx: Context) -> None:
    """Two branches of two steps each, the second one far slower."""

    async def branch(name: str, seconds: float) -> None:
        for number in (1, 2):
            await ctx.step.run(f"{name}{number}", _work, f"{name}{number}", seconds)

    await asyncio.gather(branch("a", 0), branch("b", 0.5))


def _work(name: str, seconds: float) -> None:
    work_for(seconds)
    note("step", name=name)


async def play(stage: Stage) -> None:
    """The fast branch has ended before the slow one's first step has."""
    await stage.ended(await stage.start("fast-branch-waits-for-no-other/go"))
    assert [one["name"] for one in stage.notes("step")] == ["a1", "a2", "b1", "b2"]
