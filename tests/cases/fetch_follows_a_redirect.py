"""A fetch follows a redirect and remembers the answer at its end, once, also when its workers are lost afterwards."""

from __future__ import annotations

from aiohttp import web

from cases.stages.stage import Stage
from celeriac import App, Context
from sites import Site

app = App("fetch-follows-a-redirect")


@app.function(on="fetch-follows-a-redirect/go")
async def fetches(ctx: Context, url: str) -> list[object]:
    """Fetch, and look at the answer after a nap."""
    reply = await ctx.step.fetch("fetch", url)
    await ctx.step.sleep("nap", "0.3s")
    return [reply.status, reply.text]


async def _answer(request: web.Request) -> web.StreamResponse:
    if request.path == "/old":
        raise web.HTTPTemporaryRedirect("/new")
    return web.Response(text="moved in")


async def play(stage: Stage) -> None:
    """The site is asked twice, and not again after the crash."""
    async with Site(_answer) as site:
        run_id = await stage.start("fetch-follows-a-redirect/go", {"url": site.url("/old")})
        await stage.status(run_id, "parked")
        await stage.crash()
        await stage.pass_time("0.3s")
        run = await stage.ended(run_id)
        assert run.output == [200, "moved in"]
        assert [one.path for one in site.asked] == ["/old", "/new"]
    assert (await stage.steps(run_id))["fetch"].kind == "fetch"
