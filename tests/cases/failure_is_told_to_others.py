"""The end of a failed run is an event that may start another function, which learns of run, function and error."""

from __future__ import annotations

from typing import Any

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("failure-is-told-to-others")


@app.function(on="failure-is-told-to-others/go", retries=0)
async def always_fails(ctx: Context) -> None:
    """Fail in a step."""
    await ctx.step.run("1", _fail)


def _fail() -> None:
    raise RuntimeError("nope")


@app.function(on="celeriac/run.failed", retries=0)
async def hears_of_failures(ctx: Context) -> dict[str, Any]:
    """Keep what was told, of this case's own runs."""
    told: dict[str, Any] = ctx.event.data
    if told["app"] == app.name:
        note("told")
    return told


async def play(stage: Stage) -> None:
    """The other function runs once."""
    run_id = await stage.start("failure-is-told-to-others/go")
    await stage.ended(run_id)
    [heard] = await stage.all_ended("hears-of-failures")
    assert heard.output["run_id"] == run_id
    assert heard.output["function_id"] == "always-fails"
    assert heard.output["error"]["code"] == "step_failed" and "nope" in heard.output["error"]["message"]
    assert len(stage.notes("told")) == 1
