"""Races: the first branch to end wins, the others are cancelled, and every replay has the same winner."""

import asyncio
from typing import Any

import pytest

from celeriac import App, Context, Event, NonRetriableError, StepError
from celeriac.testing import Harness
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import TENANT, Hold, Stage, new_app, soon
from waiting import until


def replying(app: App, effects: list[Any]) -> None:
    """A reply races with a reminder, and work follows."""

    @app.function(on="asked")
    async def ask(ctx: Context) -> Any:
        async def remind() -> str:
            for day in range(2):
                await ctx.step.sleep(f"day {day}", "1d")
                await ctx.step.run(f"remind {day}", lambda: effects.append("reminded"))
            return "silence"

        winner, value = await ctx.step.race(
            reply=ctx.step.wait_for_event("reply", "replied", timeout="9d"), silence=remind()
        )
        found = value.data["text"] if isinstance(value, Event) else value
        return await ctx.step.run("note", lambda: effects.append(winner) or [winner, found])


async def test_the_branch_that_ends_first_wins_wherever_the_worker_dies() -> None:
    async def drive(play: Play) -> Any:
        await play.send("asked")
        await play.pass_time("1d")
        await play.send("replied", {"text": "yes"})
        await play.pass_time("9d")
        return play.run_of("ask").output

    outcomes = await play_with_a_death_at_each_point(replying, drive)
    assert len(outcomes) > 6
    assert outcomes == [["reply", "yes"]] * len(outcomes)


async def test_the_other_branch_wins_where_it_ends_first() -> None:
    async def drive(play: Play) -> Any:
        await play.send("asked")
        await play.pass_time("1d")
        await play.pass_time("1d")
        await play.send("replied", {"text": "too late"})
        return play.run_of("ask").output

    outcomes = await play_with_a_death_at_each_point(replying, drive)
    assert outcomes == [["silence", "silence"]] * len(outcomes)


def open_waits(stage: Stage, run_id: str) -> list[str]:
    return [path for (path, _), wait in stage.store.all[run_id].waits.items() if wait.resolved_at is None]


async def test_the_waits_of_the_losers_are_over_with_the_race() -> None:
    app = new_app()

    @app.function(on="go")
    async def races(ctx: Context) -> None:
        async def slow() -> None:
            await asyncio.gather(ctx.step.sleep("a", "2d"), ctx.step.wait_for_signal("b", "free", timeout="2d"))

        event = ctx.step.wait_for_event("event", "e", timeout="2d")
        await ctx.step.race(nap=ctx.step.sleep("nap", "1h"), slow=slow(), event=event)
        await ctx.step.sleep("after", "9d")

    async with Stage(app) as stage:
        play = Play(stage)
        await play.send("go")
        assert sorted(open_waits(stage, play.run_of("races").id)) == ["event", "nap", "race/slow/a", "race/slow/b"]
        await play.pass_time("1h")
        assert open_waits(stage, play.run_of("races").id) == ["after"]
        assert not play.signal("free")
        assert stage.store.ingest(TENANT, [Event("e")]).queued == []


async def test_the_body_of_a_loser_that_executes_is_cancelled() -> None:
    app, cancelled = new_app(), []

    @app.function(on="go")
    async def races(ctx: Context) -> str:
        hold = Hold()

        async def hangs() -> None:
            try:
                await hold()
            finally:
                cancelled.append("hangs")

        return (await ctx.step.race(slow=ctx.step.run("slow", hangs), quick=ctx.step.run("quick", hold.is_entered)))[0]

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).output, cancelled) == ("quick", ["hangs"])
        assert [memo.path for memo in h.steps(run.id)] == ["quick", "race"]
        assert h.attempts(run.id) == []


async def test_a_branch_that_fails_first_fails_the_race_live_and_on_replay() -> None:
    app, errors = new_app(), []

    @app.function(on="go")
    async def races(ctx: Context) -> None:
        def refuse() -> None:
            raise NonRetriableError("no")

        try:
            await ctx.step.race(bad=ctx.step.run("bad", refuse), nap=ctx.step.sleep("nap", "1d"))
        except StepError as error:
            errors.append((error.step, error.detail))
        await ctx.step.sleep("pause", "1h")

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1h")
        assert (h.run(run.id).status, errors) == ("completed", [("bad", "no")] * 2)


async def test_an_error_of_a_branchs_own_code_fails_the_race() -> None:
    app = new_app()

    @app.function(on="go", retries=0)
    async def races(ctx: Context) -> None:
        async def breaks() -> None:
            await ctx.step.run("one", lambda: 1)
            raise ValueError("broken")

        await ctx.step.race(breaks=breaks(), nap=ctx.step.sleep("nap", "1d"))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).error == {"code": "ValueError", "message": "broken"}


async def inner_race(ctx: Context) -> Any:
    await ctx.step.run("step", lambda: 1)
    event = ctx.step.wait_for_event("event", "e", timeout="9h")
    return await ctx.step.race(long=ctx.step.sleep("long", "5h"), event=event)


async def test_a_race_inside_a_race() -> None:
    def declare(app: App, effects: list[Any]) -> None:
        @app.function(on="go")
        async def races(ctx: Context) -> Any:
            return await ctx.step.race(inner=inner_race(ctx), nap=ctx.step.sleep("nap", "7h"))

    async def drive(play: Play) -> Any:
        await play.send("go")
        await play.pass_time("1h")
        await play.send("e")
        await play.pass_time("9h")
        [outer, [inner, event]] = play.run_of("races").output
        return outer, inner, event["name"]

    outcomes = await play_with_a_death_at_each_point(declare, drive)
    assert outcomes == [("inner", "event", "e")] * len(outcomes)


async def test_an_inner_race_is_dropped_with_the_branch_that_loses() -> None:
    app = new_app()

    @app.function(on="go")
    async def races(ctx: Context) -> str:
        winner, _ = await ctx.step.race(inner=inner_race(ctx), nap=ctx.step.sleep("nap", "1h"))
        await ctx.step.sleep("after", "1h")
        await ctx.step.run("last", lambda: 1)
        return winner

    async with Stage(app) as stage:
        play = Play(stage)
        await play.send("go")
        await play.pass_time("1h")
        assert open_waits(stage, play.run_of("races").id) == ["after"]
        await play.pass_time("1h")
        assert play.run_of("races").output == "nap"


def holding(app: App, effects: list[Any]) -> None:
    @app.function(on="go")
    async def races(ctx: Context) -> str:
        async def holds() -> None:
            try:
                await ctx.step.sleep("long", "9d")
            finally:
                await ctx.step.run("free", lambda: effects.append("freed"))

        winner, _ = await ctx.step.race(holds=holds(), nap=ctx.step.sleep("nap", "1h"))
        await ctx.step.sleep("after", "1h")
        return winner


async def test_cleanup_steps_of_a_loser_are_done_once() -> None:
    async def drive(play: Play) -> Any:
        await play.send("go")
        await play.pass_time("1h")
        await play.pass_time("1h")
        return play.run_of("races").output, len(play.effects)

    outcomes = await play_with_a_death_at_each_point(holding, drive)
    assert outcomes[0] == ("nap", 1)
    assert {winner for winner, _ in outcomes} == {"nap"}
    assert {freed for _, freed in outcomes} <= {1, 2}


async def test_an_event_wins_against_work_that_goes_on() -> None:
    app, hold = new_app(), Hold("worked")

    @app.function(on="go")
    async def races(ctx: Context) -> Any:
        stop = ctx.step.wait_for_event("stop", "stopped", timeout="1d")
        return (await ctx.step.race(stop=stop, work=ctx.step.run("work", hold)))[0]

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await hold.is_entered()
        await until(lambda: stage.store.all[run_id].waits, what="the wait for the event")
        stage.store.ingest(TENANT, [Event("stopped")])
        await soon(link)
        assert stage.run(run_id).output == "stop"


async def races_beside_a_race(ctx: Context, order: list[str]) -> None:
    async def steps(name: str) -> None:
        for number in range(3):
            await ctx.step.run(str(number), lambda: 1)
            order.append(f"{name} {number}")

    async def side(name: str) -> None:
        with ctx.step.scope(name):
            await ctx.step.race(one=steps(name), nap=ctx.step.sleep("nap", "1d"))
        order.append(name)

    await asyncio.gather(side("a"), side("b"))


async def test_parallel_races_keep_their_order_with_other_branches() -> None:
    app, orders = new_app(), []

    @app.function(on="go")
    async def meets(ctx: Context) -> None:
        orders.append([])
        await races_beside_a_race(ctx, orders[-1])
        await ctx.step.sleep("pause", "2d")

    async with Harness(app) as h:
        await h.send("go")
        await h.restart()
        await h.advance("2d")
    assert len(orders) == 2
    assert orders[0] == orders[1]


async def test_a_race_whose_winner_is_gone_from_the_code_says_so() -> None:
    app, names = new_app(), ["old", "new"]

    @app.function(on="go")
    async def races(ctx: Context) -> None:
        await ctx.step.race(**{names.pop(0): ctx.step.run("step", lambda: 1)})
        await ctx.step.sleep("pause", "1h")

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("1h")
        error = h.run(run.id).error
        assert error is not None and "won by 'old'" in error["message"]


@pytest.mark.filterwarnings("error")
async def test_branches_that_are_not_started_are_closed_without_a_word() -> None:
    app = new_app()

    @app.function(on="go")
    async def races(ctx: Context) -> None:
        await ctx.step.race(
            quick=ctx.step.run("quick", lambda: 1),
            body=ctx.step.run("body", Hold()),
            wait=ctx.step.wait_for_event("w", "e", timeout="1d"),
            invoke=ctx.step.invoke("i", "a/b"),
        )
        await ctx.step.sleep("pause", "1h")

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).status == "completed"


async def test_a_race_without_branches_is_refused() -> None:
    app = new_app()

    @app.function(on="go")
    async def races(ctx: Context) -> None:
        await ctx.step.race()

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and "needs branches" in error["message"]
