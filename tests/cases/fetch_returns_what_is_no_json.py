"""An answer that is no JSON is an answer like any: its text is there, and only who asks for JSON meets an error."""

from __future__ import annotations

from aiohttp import web

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context
from sites import Site

app = App("fetch-returns-what-is-no-json")


@app.function(on="fetch-returns-what-is-no-json/go", retries=0)
async def fetches(ctx: Context, url: str) -> object:
    """Look at the text, then ask for JSON."""
    reply = await ctx.step.fetch("fetch", url)
    note("fetched", status=reply.status, text=reply.text)
    return reply.json()


async def _answer(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<h1>Bad gateway</h1>", status=502)


async def play(stage: Stage) -> None:
    """The step is fine, the run is not."""
    async with Site(_answer) as site:
        run_id = await stage.start("fetch-returns-what-is-no-json/go", {"url": site.url()})
        run = await stage.ended(run_id)
        assert len(site.asked) == 1
    assert run.status == "failed"
    assert stage.notes("fetched", status=502, text="<h1>Bad gateway</h1>") != []
    step = (await stage.steps(run_id))["fetch"]
    assert (step.error, step.attempts) == (None, 1)
