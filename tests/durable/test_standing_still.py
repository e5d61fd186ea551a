"""Waits: when they end, what fixes their time, and what may not stand around them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celeriac import Context, Event
from celeriac.clock import SystemClock
from celeriac.testing import Harness
from engine_stage import TENANT, Hold, Stage, new_app, soon
from waiting import until


async def test_a_sleeps_time_is_fixed_by_its_commit_and_a_crash_does_not_start_it_anew() -> None:
    app, hold = new_app(), Hold()

    @app.function(on="go")
    async def sleeps(ctx: Context) -> None:
        await asyncio.gather(ctx.step.sleep("nap", "5s"), ctx.step.run("hang", hold))

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        begun, first = stage.clock.now(), stage.advance(run_id, "a")
        await hold.is_entered()
        await until(lambda: stage.store.all[run_id].waits, what="the commit of the sleep")
        stage.pass_time("3s")
        stage.kill("a")
        hold.let_go()
        await stage.finish(run_id, "b")
        assert [wait.wake_at for wait in stage.store.all[run_id].waits.values()] == [begun + timedelta(seconds=5)]
        stage.pass_time("2s")
        assert (await stage.finish(run_id, "b")).status == "completed"
        await soon(first)


async def test_a_sibling_that_works_does_not_delay_a_sleep() -> None:
    app, rested = new_app(), asyncio.Event()

    @app.function(on="go")
    async def both(ctx: Context) -> str:
        async def nap() -> None:
            await ctx.step.sleep("nap", "50ms")
            rested.set()

        async def work() -> str:
            await rested.wait()
            return "worked"

        return (await asyncio.gather(nap(), ctx.step.run("work", work)))[1]

    async with Stage(app, clock=SystemClock()) as stage:
        [run_id] = stage.send("go")
        assert (await soon(stage.finish(run_id))).output == "worked"
        assert [memo.path for memo in stage.steps(run_id)] == ["nap", "work"]


async def test_sleep_until_takes_a_moment_and_one_that_has_passed_does_not_wait() -> None:
    app = new_app()

    @app.function(on="go")
    async def sleeps(ctx: Context) -> str:
        await ctx.step.sleep_until("past", datetime(2020, 1, 1, tzinfo=UTC))
        await ctx.step.sleep_until("new year", datetime(2027, 1, 1, tzinfo=UTC))
        return "2027"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (run.status, [memo.path for memo in h.steps(run.id)]) == ("parked", ["past"])
        await h.advance("365d")
        assert h.run(run.id).output == "2027"


@pytest.mark.parametrize("gathered", [False, True])
async def test_asyncio_timeout_around_a_wait_is_refused(gathered: bool) -> None:
    app = new_app()

    @app.function(on="go")
    async def hopes(ctx: Context) -> None:
        async with asyncio.timeout(5):
            wait = ctx.step.wait_for_event("answer", "answered", timeout="1h")
            await (asyncio.gather(wait, ctx.step.sleep("nap", 1)) if gathered else wait)

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and error["code"] == "config"
        assert "asyncio.timeout" in error["message"] and "itself timeout=" in error["message"]


async def test_asyncio_timeout_elsewhere_in_the_run_does_not_hinder_a_wait() -> None:
    app = new_app()

    @app.function(on="go")
    async def careful(ctx: Context) -> str:
        async with asyncio.timeout(5):
            found = await ctx.step.run("quick", lambda: "found")
        await ctx.step.sleep("nap", "1m")
        return found

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("1m")
        assert h.run(run.id).output == "found"


async def test_a_link_that_ends_inside_asyncio_timeout_is_no_error() -> None:
    app = new_app()

    @app.function(on="go")
    async def careful(ctx: Context) -> str:
        async with asyncio.timeout(5):
            await ctx.step.run("one", _drain, stage)
            return await ctx.step.run("two", lambda: "done")

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        stage.engine().is_draining = False
        assert (await stage.finish(run_id)).output == "done"


def _drain(stage: Stage) -> None:
    stage.engine().is_draining = True


@pytest.mark.parametrize("given", [{"timeout": "367d"}, {"timeout": "1d", "since": "367d"}])
async def test_a_wait_longer_than_the_limit_is_refused_where_it_is_called(given: dict[str, str]) -> None:
    app = new_app()

    @app.function(on="go")
    async def forever(ctx: Context) -> None:
        await ctx.step.wait_for_event("w", "e", **given)

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and "limit is 366" in error["message"]


async def test_an_event_without_what_is_matched_on_leaves_the_run_waiting() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context, id: int) -> Any:
        event = await ctx.step.wait_for_event("w", "e", timeout="1h", match="data.id")
        return event is not None

    async with Harness(app) as h:
        [run] = await h.send("go", {"id": 1})
        await h.send("e", {})
        await h.send("e", {"id": True})
        assert h.run(run.id).status == "parked"
        await h.send("e", {"id": 1})
        assert h.run(run.id).output is True


async def test_matching_on_what_the_runs_own_event_lacks_is_an_error() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> None:
        await ctx.step.wait_for_event("w", "e", timeout="1h", match="data.id")

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and "'data.id'" in error["message"]


async def test_an_event_that_came_before_the_wait_does_not_count() -> None:
    app, reached = new_app(), asyncio.Event()

    @app.function(on="go")
    async def waits(ctx: Context) -> str:
        await ctx.step.run("first", reached.wait)
        return "none" if await ctx.step.wait_for_event("w", "e", timeout="1m") is None else "came"

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        stage.store.ingest(TENANT, [Event("e")])
        stage.pass_time("1s")
        reached.set()
        await soon(link)
        assert stage.run(run_id).status == "parked"
        stage.pass_time("1m")
        assert (await stage.finish(run_id)).output == "none"


async def test_two_waits_for_the_same_event_both_end() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> list[int]:
        events = await asyncio.gather(*(ctx.step.wait_for_event(f"w{n}", "e", timeout="1h") for n in range(3)))
        return [event.data["n"] for event in events if event is not None]

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.send("e", {"n": 4})
        assert h.run(run.id).output == [4, 4, 4]


async def test_a_wait_is_shown_from_when_it_began() -> None:
    app, hour = new_app(), timedelta(hours=1)

    @app.function(on="go")
    async def waits(ctx: Context) -> None:
        await ctx.step.sleep("nap", "1h")
        await ctx.step.wait_for_event("answer", "answered", timeout="1d")

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        begun = stage.clock.now()
        await stage.finish(run_id)
        stage.pass_time("1h")
        await stage.finish(run_id)
        stage.pass_time("2h")
        stage.send("answered")
        await stage.finish(run_id)
        spans = [(done.started_at, done.ended_at) for _, done in stage.store.all[run_id].steps.values()]
        assert spans == [(begun, begun + hour), (begun + hour, begun + 3 * hour)]
