"""Steps that follow each other go on in one link: no message goes through the broker between them."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("plain-steps-share-a-link")


@app.function(on="plain-steps-share-a-link/go")
async def three_steps(ctx: Context) -> str:
    """Three quick steps."""
    return "".join([await ctx.step.run(name, str.upper, name) for name in "abc"])


async def play(stage: Stage) -> None:
    """Count the links."""
    run_id = await stage.start("plain-steps-share-a-link/go")
    run = await stage.ended(run_id)
    assert (run.output, run.links) == ("ABC", 1)
    assert list(await stage.steps(run_id)) == ["a", "b", "c"]
