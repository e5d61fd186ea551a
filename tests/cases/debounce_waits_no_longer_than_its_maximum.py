"""A debounced function with a maximum starts when that has passed, though events keep coming."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, Debounce

app = App("debounce-waits-no-longer-than-its-maximum")


@app.function(on="debounce-waits-no-longer-than-its-maximum/go", debounce=Debounce("1s", max_wait="1.2s"))
async def debounced(ctx: Context, n: int) -> int:
    """Return which event it was."""
    return n


async def play(stage: Stage) -> None:
    """An event each half second; without the maximum there would be one run, of the last."""
    for n in range(4):
        await stage.send("debounce-waits-no-longer-than-its-maximum/go", {"n": n})
        await stage.pass_time("0.5s")
    await stage.pass_time("1.2s")
    runs = await stage.all_ended("debounced")
    outputs = [run.output for run in runs]
    assert len(outputs) >= 2 and outputs == sorted(outputs) and outputs[-1] == 3
