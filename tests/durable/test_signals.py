"""Signals: what one run waits for, and whoever knows its name may give, once."""

from typing import Any

import pytest

from celeriac import App, Context, StepError
from celeriac.platform.durable.memo import OutgoingEvent
from celeriac.testing import Harness
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import TENANT, Stage, new_app


def approving(app: App, effects: list[Any]) -> None:
    @app.function(on="go")
    async def waits(ctx: Context) -> Any:
        answer = await ctx.step.wait_for_signal("approval", "approve:order-1", timeout="1d")
        return await ctx.step.run("note", lambda: effects.append(answer) or [answer])

    @app.function(on="decided")
    async def gives(ctx: Context) -> bool:
        return await ctx.step.send_signal("give", "approve:order-1", {"by": "ann"})


async def test_a_signal_that_a_step_gives_ends_the_wait_with_its_data() -> None:
    async def drive(play: Play) -> Any:
        await play.send("go")
        await play.send("decided")
        return play.run_of("waits").output, play.run_of("gives").output

    outcomes = await play_with_a_death_at_each_point(approving, drive)
    assert len(outcomes) > 5
    assert outcomes == [([{"by": "ann"}], True)] * len(outcomes)


async def test_a_signal_that_nobody_waits_for_is_lost_and_the_giver_is_told() -> None:
    async def drive(play: Play) -> Any:
        await play.send("decided")
        await play.send("go")
        await play.pass_time("1d")
        return play.run_of("gives").output, play.run_of("waits").output

    outcomes = await play_with_a_death_at_each_point(approving, drive)
    assert outcomes == [(False, [None])] * len(outcomes)


async def test_a_signal_is_given_to_one_wait_once() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> Any:
        return [await ctx.step.wait_for_signal(str(n), "stop", timeout="1d") for n in range(2)]

    async with Stage(app) as stage:
        play = Play(stage)
        await play.send("go")
        assert play.signal("stop", 1)
        assert not play.signal("stop", "too early for the second wait")
        await play.settle()
        assert play.signal("stop", 2)
        await play.settle()
        assert play.run_of("waits").output == [1, 2]


async def test_a_second_wait_for_a_signal_fails_its_step_without_a_retry() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> Any:
        try:
            return await ctx.step.wait_for_signal("approval", "approve", timeout="1d")
        except StepError as error:
            return [error.error_name, error.detail]

    async with Harness(app) as h:
        [first] = await h.send("go")
        [second] = await h.send("go")
        [name, detail] = h.run(second.id).output
        assert (name, h.attempts(second.id)) == ("ConflictError", [])
        assert "'approve'" in detail
        assert h.run(first.id).status == "parked"


async def test_a_signal_is_free_again_when_its_run_has_ended() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> Any:
        return await ctx.step.wait_for_signal("approval", "approve", timeout="1d")

    async with Harness(app) as h:
        [first] = await h.send("go")
        h.cancel(first.id)
        [second] = await h.send("go")
        assert h.run(second.id).status == "parked"


async def test_another_tenant_neither_gives_nor_takes_a_signal() -> None:
    app = new_app()
    approving(app, [])
    async with Stage(app) as stage:
        play = Play(stage)
        await play.send("go")
        assert not stage.store.signal("somebody else", "approve:order-1", 1).is_awaited
        assert play.run_of("waits").status == "parked"


async def test_an_event_of_the_signals_name_is_no_signal() -> None:
    app = new_app()
    approving(app, [])
    async with Stage(app) as stage:
        play = Play(stage)
        await play.send("go")
        stage.store._insert(TENANT, OutgoingEvent(id="evt_1", name="celeriac/signal:other", data="{}"))
        await play.settle()
        assert play.run_of("waits").status == "parked"


@pytest.mark.parametrize("signal", ["", "x" * 256, "a\nb"])
async def test_a_signal_that_cannot_be_named_is_refused(signal: str) -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> None:
        await ctx.step.wait_for_signal("w", signal, timeout=1)

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and "a signal is a text" in error["message"]
