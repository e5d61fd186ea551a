"""Fetching as a step: the reply is remembered, a mishap is tried again, and what is refused is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from celeriac import Context, StepError
from celeriac.errors import FetchRefused
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.fetching.reply import FetchReply
from celeriac.platform.inline import local_context
from celeriac.testing import Harness
from engine_stage import Stage, new_app
from sites import LOOPBACK, Port, Site

OPEN = Conduct(fetch_limits=LOOPBACK)


async def answer(_: web.Request) -> web.Response:
    return web.json_response({"name": "Ann"}, status=418)


async def test_a_reply_is_fetched_once_and_comes_back_on_replay() -> None:
    app, replies = new_app(), []

    @app.function(on="go")
    async def asks(ctx: Context, url: str) -> None:
        replies.append(await ctx.step.fetch("who", url, method="POST", json={"id": 7}))
        await ctx.step.sleep("pause", "1h")

    async with Site(answer) as site, Harness(app, conduct=OPEN) as h:
        [run] = await h.send("go", {"url": site.url("/who")})
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).status == "completed"
    assert [(asked.method, asked.body) for asked in site.asked] == [("POST", b'{"id":7}')]
    assert replies[0] == replies[1]
    assert isinstance(replies[0], FetchReply)
    assert (replies[1].status, replies[1].json()) == (418, {"name": "Ann"})


async def test_a_fetch_without_an_answer_is_tried_again_like_any_step() -> None:
    app = new_app()

    @app.function(on="go", retries=2)
    async def asks(ctx: Context, url: str) -> str:
        try:
            return (await ctx.step.fetch("who", url)).text
        except StepError as error:
            return error.error_name

    async with Port(closes=True) as port, Harness(app, conduct=OPEN) as h:
        [run] = await h.send("go", {"url": port.url})
        for _ in range(2):
            await h.advance("10m")
        assert (h.run(run.id).output, port.connections, h.attempts(run.id)) == ("FetchError", 3, ["who"] * 2)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://169.254.169.254/latest", "ftp://example.org/", "nonsense"]
)
async def test_what_is_not_allowed_fails_the_step_at_once(url: str) -> None:
    app = new_app()

    @app.function(on="go")
    async def asks(ctx: Context) -> Any:
        try:
            return (await ctx.step.fetch("who", url)).status
        except StepError as error:
            return error.error_name

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).output, h.attempts(run.id)) == ("FetchRefused", [])


async def test_what_is_shown_of_a_fetch_carries_no_credentials() -> None:
    app = new_app()

    @app.function(on="go")
    async def asks(ctx: Context, url: str) -> None:
        await ctx.step.fetch("who", url, method="PUT", headers={"Authorization": "Bearer secret"}, body="secret")

    async with Site() as site, Stage(app, conduct=OPEN) as stage:
        [run_id] = stage.send("go", {"url": site.url()})
        await stage.finish(run_id)
        [[memo, step]] = stage.store.all[run_id].steps.values()
        assert (memo.kind, site.asked[0].headers["authorization"]) == ("fetch", "Bearer secret")
        shown = {"method": "PUT", "url": site.url(), "headers": ["Authorization"]}
        assert json.loads(step.input or "") == shown


async def test_a_plain_script_fetches_in_place_and_only_from_public_networks() -> None:
    ctx = local_context("script", {})
    async with Site() as site:
        with pytest.raises(FetchRefused):
            await ctx.step.fetch("who", site.url())
    assert site.asked == []
