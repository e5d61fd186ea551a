"""A run that wants more steps than it may have fails, and says so; what it has done stays."""

from __future__ import annotations

from cases.stages.stage import SETTINGS, Stage
from celeriac import App, Context

app = App("step-limit-fails-the-run")


@app.function(on="step-limit-fails-the-run/go")
async def counts(ctx: Context, steps: int) -> int:
    """Make so many steps."""
    for n in range(steps):
        await ctx.step.run(f"s{n}", lambda: None)
    return steps


async def play(stage: Stage) -> None:
    """Try with exactly the limit, and with one more."""
    most = int(SETTINGS["max_steps"])
    fits = await stage.ended(await stage.start("step-limit-fails-the-run/go", {"steps": most}))
    over = await stage.ended(await stage.start("step-limit-fails-the-run/go", {"steps": most + 1}))
    assert (fits.status, over.status) == ("completed", "failed")
    assert over.error and over.error["code"] == "limit" and f"{most} steps" in over.error["message"]
    assert len(await stage.steps(over.id)) == most
