"""A trigger that ends in `*` takes the events that begin like it, each once, whatever other triggers take them too."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("wildcard-trigger-takes-what-begins-like-it")

_PREFIX = "wildcard-trigger-takes-what-begins-like-it"


@app.function(on=[f"{_PREFIX}/foo/*", f"{_PREFIX}/foo/bar"])
async def hears(ctx: Context) -> str:
    """Return what started it."""
    return ctx.event.name.removeprefix(_PREFIX)


async def play(stage: Stage) -> None:
    """Names that begin like it, and names that nearly do."""
    for name in ("/foo/1", "/foo/bar", "/foo/bar/deep", "/foo", "/food/1", "/bar/1"):
        await stage.send(_PREFIX + name)
    await stage.send(f"again/{_PREFIX}/foo/1")
    assert [run.output for run in await stage.all_ended()] == ["/foo/1", "/foo/bar", "/foo/bar/deep"]
