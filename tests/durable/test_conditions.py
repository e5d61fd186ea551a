"""Conditions of waits: an expression over the run's own event and the one that comes."""

from typing import Any

import pytest

from celeriac import App, Context
from celeriac.testing import Harness
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import new_app


def paying(app: App, effects: list[Any]) -> None:
    @app.function(on="ordered")
    async def order(ctx: Context, id: str, cents: int) -> Any:
        condition = "async.data.order == event.data.id && async.data.cents >= event.data.cents"
        paid = await ctx.step.wait_for_event("paid", "paid", if_=condition, timeout="1d")
        return None if paid is None else paid.data["cents"]


async def test_only_an_event_of_which_the_condition_holds_ends_the_wait() -> None:
    async def drive(play: Play) -> Any:
        await play.send("ordered", {"id": "o1", "cents": 100})
        for data in ({"order": "o2", "cents": 100}, {"order": "o1", "cents": 99}, {"order": "o1"}, {}):
            await play.send("paid", data)
        assert play.run_of("order").status == "parked"
        await play.send("paid", {"order": "o1", "cents": 120})
        return play.run_of("order").output

    outcomes = await play_with_a_death_at_each_point(paying, drive)
    assert outcomes == [120] * len(outcomes)


async def test_a_condition_and_a_match_have_to_hold_both() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context, id: int) -> bool:
        event = await ctx.step.wait_for_event("w", "e", match="data.id", if_="async.data.ok", timeout="1d")
        return event is not None

    async with Harness(app) as h:
        [run] = await h.send("go", {"id": 1})
        await h.send("e", {"id": 1, "ok": False})
        await h.send("e", {"id": 2, "ok": True})
        await h.send("e", {"id": 1, "ok": 1})
        assert h.run(run.id).status == "parked"
        await h.send("e", {"id": 1, "ok": True})
        assert h.run(run.id).output is True


async def test_looking_back_asks_for_the_condition_as_well() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> Any:
        event = await ctx.step.wait_for_event("w", "e", if_="async.data.n > 1", timeout="1m", since="1h")
        return None if event is None else event.data["n"]

    async with Harness(app) as h:
        await h.send("e", {"n": 1})
        await h.send("e", {"n": 2})
        await h.send("e", {"n": 3})
        [run] = await h.send("go")
        assert h.run(run.id).output == 2


@pytest.mark.parametrize("condition", ["async.data.n >", "data.n == 1", "event.data.items.all(x, x > 1)", ""])
async def test_a_condition_that_cannot_be_evaluated_fails_its_step_and_may_be_caught(condition: str) -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> str:
        try:
            await ctx.step.wait_for_event("w", "e", if_=condition, timeout="1h")
        except Exception as error:  # noqa: BLE001  # whatever it is
            return str(error)
        return "waited"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert "Step 'w'" in h.run(run.id).output
        assert h.run(run.id).status == "completed"


async def test_a_condition_that_cannot_be_evaluated_fails_the_run_that_does_not_catch_it() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> None:
        await ctx.step.wait_for_event("w", "e", if_="1 +", timeout="1h")

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and (error["code"], h.attempts(run.id)) == ("config", [])


async def test_a_condition_on_the_end_of_a_run() -> None:
    app = new_app()
    app.function(id="works", on="work")(square)

    @app.function(on="go")
    async def waits(ctx: Context) -> Any:
        ended = await ctx.step.wait_for_event(
            "w",
            "celeriac/run.finished",
            if_="async.data.function_id == 'works' && async.data.output == 4",
            timeout="1h",
        )
        return None if ended is None else ended.data["output"]

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.send("work", {"n": 1})
        await h.send("work", {"n": 2})
        assert h.run(run.id).output == 4


async def square(ctx: Context, n: int) -> int:
    return n * n


async def test_the_platforms_own_events_are_not_waited_for() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> None:
        await ctx.step.wait_for_event("w", "celeriac/signal:x", timeout="1h")

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and "celeriac/run.*" in error["message"]
