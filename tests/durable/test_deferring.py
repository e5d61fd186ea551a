"""Deferring: what starts once a run has ended, however it ended."""

from typing import Any

import pytest

from celeriac import App, Context, NonRetriableError
from celeriac.testing import Harness
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import Hold, Stage, new_app, soon


def tidying(app: App, effects: list[Any]) -> None:
    @app.function(on="never")
    async def tidy(ctx: Context, what: str) -> None:
        await ctx.step.run("tidy", effects.append, what)

    @app.function(on="go", retries=0)
    async def works(ctx: Context, fails: bool = False) -> None:
        await ctx.step.defer("later", tidy, {"what": "desk"})
        await ctx.step.sleep("nap", "1h")
        if fails:
            raise NonRetriableError("no")


@pytest.mark.parametrize(("fails", "status"), [(False, "completed"), (True, "failed")])
async def test_what_was_deferred_starts_once_when_the_run_has_ended(fails: bool, status: str) -> None:
    async def drive(play: Play) -> Any:
        await play.send("go", {"fails": fails})
        assert play.effects == []
        await play.pass_time("1h")
        runs = [stored.run for stored in play.stage.store.all.values()]
        return [run.status for run in runs], set(play.effects)

    outcomes = await play_with_a_death_at_each_point(tidying, drive)
    assert len(outcomes) > 3
    assert outcomes == [([status, "completed"], {"desk"})] * len(outcomes)


async def test_a_run_that_is_cancelled_while_it_waits_starts_what_it_deferred() -> None:
    app, effects = new_app(), []
    tidying(app, effects)
    async with Harness(app) as h:
        [run] = await h.send("go")
        h.cancel(run.id)
        await h.settle()
        assert (h.run(run.id).status, effects) == ("cancelled", ["desk"])


async def test_a_run_that_is_cancelled_while_it_executes_starts_what_it_deferred() -> None:
    app, hold, effects = new_app(), Hold(), []
    tidying(app, effects)

    @app.function(on="start")
    async def hangs(ctx: Context) -> None:
        await ctx.step.defer("later", f"{app.name}/tidy", {"what": "desk"})
        await ctx.step.run("hang", hold)

    async with Stage(app) as stage:
        [run_id] = stage.send("start")
        link = stage.advance(run_id)
        await hold.is_entered()
        stage.store.cancel("test", run_id)
        stage.engine().cancel([run_id])
        await soon(link)
        await Play(stage).settle()
        assert (stage.run(run_id).status, effects) == ("cancelled", ["desk"])


async def test_a_run_that_is_cancelled_before_its_next_link_starts_what_it_deferred() -> None:
    app, effects = new_app(), []
    tidying(app, effects)
    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        stored = stage.store.all[run_id]
        stored.cancel_requested = True  # as a link sees it whose run was flagged between two of them
        stage.pass_time("1h")
        play = Play(stage, effects)
        await play.settle()
        assert (stage.run(run_id).status, effects) == ("cancelled", ["desk"])


async def test_a_run_may_not_defer_without_end() -> None:
    app = new_app()

    @app.function(on="go", retries=0)
    async def works(ctx: Context, times: int, size: int = 0) -> None:
        for number in range(times):
            await ctx.step.defer(f"later {number}", "some/where", {"text": "x" * size})

    async with Harness(app) as h:
        [many] = await h.send("go", {"times": 21})
        [large] = await h.send("go", {"times": 12, "size": 400_000})
        [fine] = await h.send("go", {"times": 20})
        assert [h.run(run.id).status for run in (many, large, fine)] == ["failed", "failed", "completed"]
        errors = [h.run(run.id).error or {} for run in (many, large)]
        assert "at most 20 runs" in errors[0]["message"]
        assert "bytes of data in all" in errors[1]["message"]
