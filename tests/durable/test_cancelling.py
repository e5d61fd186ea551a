"""Cancelling: what executes is aborted, what stands ends at once, and nothing starts after it."""

from typing import Any

import pytest

from celeriac import Agent, Context
from celeriac.errors import NotFoundError
from celeriac.platform.models.model import ModelReply, ModelRequest
from engine_stage import TENANT, Hold, Stage, new_app, soon


class Stuck:
    """A model that never answers."""

    provider, name = "stuck", "stuck"

    def __init__(self) -> None:
        self.asked = Hold()
        self.aborted = False

    async def infer(self, request: ModelRequest) -> ModelReply:
        try:
            await self.asked()
        finally:
            self.aborted = True
        raise AssertionError("nobody lets it go")


async def test_a_running_model_call_is_aborted_and_no_step_starts_after_it() -> None:
    app, model, after = new_app(), Stuck(), []

    @app.function(on="go")
    async def asks(ctx: Context) -> Any:
        try:
            return (await Agent("a", model=model).run("Hello")).text
        except BaseException:  # noqa: BLE001  # whatever may come
            await ctx.step.run("after", after.append, 1)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await model.asked.is_entered()
        assert stage.store.cancel(TENANT, run_id).status == "running"
        assert stage.store.renew("a").cancelled == (run_id,)
        stage.engine().cancel([run_id])
        assert await soon(link) is False
        assert (stage.run(run_id).status, stage.run(run_id).reason) == ("cancelled", "cancelled")
        assert (model.aborted, stage.steps(run_id), after) == (True, [], [])


async def test_a_flag_that_no_hint_came_for_is_seen_where_the_run_would_park() -> None:
    app, hold, ran = new_app(), Hold(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("one", hold)
        await ctx.step.sleep("nap", "1h")
        await ctx.step.run("two", ran.append, 2)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await hold.is_entered()
        stage.store.cancel(TENANT, run_id)
        hold.let_go()
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


@pytest.mark.parametrize("ending", ["finished", "failed", "cancelled"])
async def test_the_end_of_a_run_is_told_once_by_an_event(ending: str) -> None:
    app, heard = new_app(), []

    @app.function(on="go", retries=0)
    async def ends(ctx: Context) -> float:
        await ctx.step.sleep("nap", "1h" if ending == "cancelled" else 0)
        return 1 / (ending == "finished")

    @app.function(on=f"celeriac/run.{ending}")
    async def hears(ctx: Context) -> None:
        heard.append({key: ctx.event.data[key] for key in ("run_id", "output")})

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await stage.finish(run_id)
        stage.store.cancel(TENANT, run_id)
        for queued in stage.store.match_pending().queued:
            await stage.finish(queued.run_id)
        assert heard == [{"run_id": run_id, "output": 1.0 if ending == "finished" else None}]
