"""Cancelling: what executes is aborted, what stands ends at once, and nothing starts after it."""

import asyncio
from typing import Any

import pytest
from engine_stage import TENANT, Stage, new_app, soon

from celeriac import Agent, Context
from celeriac.errors import NotFoundError
from celeriac.platform.models.model import ModelReply, ModelRequest


class Stuck:
    """A model that never answers."""

    provider, name = "stuck", "stuck"

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.aborted = False

    async def infer(self, request: ModelRequest) -> ModelReply:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.aborted = True
        raise AssertionError("nobody lets it go on")


async def test_a_running_model_call_is_aborted_and_no_step_starts_after_it() -> None:
    app, model, after = new_app(), Stuck(), []

    @app.function(on="go")
    async def asks(ctx: Context) -> Any:
        try:
            return (await Agent("a", model=model).run("Hello")).text
        except BaseException:
            await ctx.step.run("after", after.append, 1)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await soon(model.asked.wait())
        assert stage.store.cancel(TENANT, run_id).status == "running"
        assert stage.store.renew("a").cancelled == (run_id,)
        stage.engine().cancel([run_id])
        assert await soon(link) is False
        assert (stage.run(run_id).status, stage.run(run_id).reason) == ("cancelled", "cancelled")
        assert (model.aborted, stage.steps(run_id), after) == (True, [], [])


async def test_a_flag_that_no_hint_came_for_is_seen_at_the_next_link() -> None:
    app, entered, gate, ran = new_app(), asyncio.Event(), asyncio.Event(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        async def body() -> None:
            entered.set()
            await gate.wait()

        await ctx.step.run("one", body)
        await ctx.step.sleep("nap", "1h")
        await ctx.step.run("two", ran.append, 2)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await soon(entered.wait())
        stage.store.cancel(TENANT, run_id)
        gate.set()
        await soon(link)
        assert (stage.run(run_id).status, ran) == ("cancelled", [])


async def test_a_queued_run_is_cancelled_before_its_first_link() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        ran.append(1)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        assert stage.store.cancel(TENANT, run_id).status == "cancelled"
        assert await soon(stage.advance(run_id)) is False
        assert ran == []


async def test_a_run_that_has_ended_stays_as_it_ended() -> None:
    app = new_app()

    @app.function(on="go")
    async def ends(ctx: Context) -> int:
        return 1

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await stage.finish(run_id)
        assert stage.store.cancel(TENANT, run_id).status == "completed"


async def test_another_tenants_run_is_not_found() -> None:
    app = new_app()

    @app.function(on="go")
    async def ends(ctx: Context) -> int:
        return 1

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        with pytest.raises(NotFoundError):
            stage.store.cancel("other", run_id)


@pytest.mark.parametrize("ending", ["run.finished", "run.failed", "run.cancelled"])
async def test_the_end_of_a_run_is_told_once_by_an_event(ending: str) -> None:
    app, heard = new_app(), []

    @app.function(on="go", retries=0)
    async def ends(ctx: Context) -> dict[str, int]:
        if ending == "run.failed":
            raise ValueError("no")
        await ctx.step.sleep("nap", 0 if ending == "run.finished" else "1h")
        return {"n": 1}

    @app.function(on=f"celeriac/{ending}")
    async def hears(ctx: Context) -> None:
        heard.append({key: ctx.event.data[key] for key in ("run_id", "output")})

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await stage.finish(run_id)
        stage.store.cancel(TENANT, run_id)
        for queued in stage.store.match_pending().queued:
            await stage.finish(queued.run_id)
        assert heard == [{"run_id": run_id, "output": {"n": 1} if ending == "run.finished" else None}]
