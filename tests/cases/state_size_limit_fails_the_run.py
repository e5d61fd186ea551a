"""A run that remembers more than it may fails, and says so."""

from __future__ import annotations

from cases.stages.stage import SETTINGS, Stage
from celeriac import App, Context

app = App("state-size-limit-fails-the-run")

SIZE = 10_000


@app.function(on="state-size-limit-fails-the-run/go")
async def hoards(ctx: Context, steps: int) -> int:
    """Remember a large text in each of so many steps."""
    for n in range(steps):
        await ctx.step.run(f"s{n}", lambda: "a" * SIZE)
    return steps


async def play(stage: Stage) -> None:
    """Stay below the limit, and go over it."""
    most = int(SETTINGS["max_state_bytes"])
    fits = await stage.ended(await stage.start("state-size-limit-fails-the-run/go", {"steps": most // SIZE - 1}))
    over = await stage.ended(await stage.start("state-size-limit-fails-the-run/go", {"steps": most // SIZE + 1}))
    assert (fits.status, over.status) == ("completed", "failed")
    assert over.error and f"{most} bytes" in over.error["message"]
