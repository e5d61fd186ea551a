"""An invoke whose child fails raises a `StepError` with the child's error, which the parent may catch."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, StepError

app = App("failure-of-a-child-is-raised-to-its-parent")


@app.function(retries=0)
async def child(ctx: Context) -> None:
    """Fail."""
    raise LookupError("no such customer")


@app.function(on="failure-of-a-child-is-raised-to-its-parent/go", retries=0)
async def parent(ctx: Context) -> str:
    """Catch what the child died of."""
    try:
        await ctx.step.invoke("invoke", child)
    except StepError as error:
        return str(error)
    return "nothing happened"


async def play(stage: Stage) -> None:
    """The parent completes, the child has failed."""
    run = await stage.ended(await stage.start("failure-of-a-child-is-raised-to-its-parent/go"))
    assert run.status == "completed"
    assert "no such customer" in run.output
    assert [one.status for one in await stage.all_ended("child")] == ["failed"]
