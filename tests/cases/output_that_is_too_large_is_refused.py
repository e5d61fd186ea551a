"""A step or a function that returns more than the limit fails with a clear error, and is not tried again."""

from __future__ import annotations

from cases.stages.notes import note
from cases.stages.stage import SETTINGS, Stage
from celeriac import App, Context

app = App("output-that-is-too-large-is-refused")


@app.function(on="output-that-is-too-large-is-refused/by-a-step")
async def step_returns(ctx: Context, size: int) -> int:
    """Return a text of this size from a step."""
    return len(await ctx.step.run("a", _text, size))


@app.function(on="output-that-is-too-large-is-refused/by-the-function")
async def function_returns(ctx: Context, size: int) -> str:
    """Return a text of this size."""
    return _text(size)


def _text(size: int) -> str:
    note("made")
    return "a" * size


async def play(stage: Stage) -> None:
    """What fits passes, what does not fails once."""
    most = int(SETTINGS["max_output_bytes"])
    for event in ("by-a-step", "by-the-function"):
        name = f"output-that-is-too-large-is-refused/{event}"
        fits = await stage.ended(await stage.start(name, {"size": most - 2}))
        over = await stage.ended(await stage.start(name, {"size": most}))
        assert (fits.status, over.status) == ("completed", "failed")
        assert over.error and str(most) in over.error["message"]
        assert len(stage.notes("made", run=over.id)) == 1
