"""The order of steps: a run whose code comes to a new step and has passed over remembered ones stands still."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from celeriac import App, Context, NonRetriableError, Run
from celeriac.platform.durable.order import ORDER, order_signal
from celeriac.testing import Harness
from crash_points import Play
from engine_stage import Stage, new_app


@dataclass
class Deploys:
    """A run of a function whose steps are those of the code that is deployed, and then a nap."""

    play: Play
    names: list[str]
    ran: list[str] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """The run as it stands."""
        return self.play.run_of("works")

    async def deploy(self, *names: str) -> None:
        """Deploy other code, and let an hour pass."""
        self.names = list(names)
        await self.play.pass_time("1h")

    async def resume(self) -> None:
        """Say that the run is to go on."""
        assert self.play.signal(order_signal(self.run.id))
        await self.play.settle()


@asynccontextmanager
async def running(*names: str) -> AsyncIterator[Deploys]:
    """Give a run that has done these steps."""
    app = new_app()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        for name in deploys.names:
            await ctx.step.run(name, deploys.ran.append, name)
        for nap in range(3):
            await ctx.step.sleep(f"nap {nap}", "1h")

    async with Stage(app) as stage:
        deploys = Deploys(Play(stage), list(names))
        await deploys.play.send("go")
        yield deploys


async def test_a_new_step_before_remembered_ones_stops_the_run_before_it_does_anything() -> None:
    async with running("one", "two") as deploys:
        await deploys.deploy("zero", "one", "two")
        assert (deploys.run.status, deploys.run.reason) == ("parked", "step_order_changed")
        assert deploys.ran == ["one", "two"]


@pytest.mark.parametrize("names", [["one"], ["one", "renamed"], ["two"]])
async def test_a_removed_or_renamed_step_stops_the_run(names: list[str]) -> None:
    async with running("one", "two") as deploys:
        await deploys.deploy(*names)
        assert (deploys.run.reason, deploys.ran) == ("step_order_changed", ["one", "two"])


async def test_a_run_that_was_stopped_goes_on_with_its_new_code_when_somebody_says_so() -> None:
    async with running("one", "two") as deploys:
        await deploys.deploy("zero", "one", "two")
        await deploys.resume()
        assert (deploys.run.status, deploys.run.reason) == ("parked", None)
        assert deploys.ran == ["one", "two", "zero"]
        await deploys.play.pass_time("1h")
        await deploys.play.pass_time("1h")
        assert deploys.run.status == "completed"


async def test_a_run_that_was_stopped_goes_on_with_its_old_code() -> None:
    async with running("one", "two") as deploys:
        await deploys.deploy("zero", "one", "two")
        deploys.names = ["one", "two"]
        await deploys.resume()
        assert (deploys.run.status, deploys.run.reason, deploys.ran) == ("parked", None, ["one", "two"])


async def test_code_that_changes_once_more_stops_the_run_once_more() -> None:
    async with running("one", "two") as deploys:
        await deploys.deploy("zero", "one", "two")
        await deploys.resume()
        assert deploys.run.reason is None
        await deploys.deploy("other", "zero", "one", "two")
        assert (deploys.run.reason, deploys.ran) == ("step_order_changed", ["one", "two", "zero"])
        await deploys.resume()
        assert (deploys.run.reason, deploys.ran[3:]) == (None, ["other"])


async def test_new_steps_behind_all_remembered_ones_are_just_done() -> None:
    async with running("one") as deploys:
        await deploys.deploy("one", "two", "three")
        assert (deploys.run.reason, deploys.ran) == (None, ["one", "two", "three"])


async def test_a_stopped_run_can_be_cancelled() -> None:
    async with running("one") as deploys:
        await deploys.deploy("zero", "one")
        deploys.play.stage.store.cancel("test", deploys.run.id)
        assert deploys.run.status == "cancelled"


async def test_a_stopped_run_that_wakes_in_its_old_code_waits_for_nobody_any_more() -> None:
    async with running("one") as deploys:
        await deploys.deploy("zero", "one")
        store = deploys.play.stage.store
        deploys.names = ["one"]
        store._wake(store.all[deploys.run.id])
        await deploys.play.settle()
        [order] = [wait for wait in store.all[deploys.run.id].waits.values() if wait.path == ORDER]
        assert (deploys.run.reason, order.resolved_at is not None, deploys.ran) == (None, True, ["one"])


async def test_a_stopped_run_that_wakes_in_its_new_code_stands_still_as_before() -> None:
    async with running("one") as deploys:
        await deploys.deploy("zero", "one")
        store = deploys.play.stage.store
        store._wake(store.all[deploys.run.id])
        await deploys.play.settle()
        assert [wait.path for wait in store.all[deploys.run.id].waits.values()].count(ORDER) == 1
        assert (deploys.run.status, deploys.run.reason) == ("parked", "step_order_changed")


async def replayed(body: Callable[[Context], Awaitable[None]]) -> Run:
    """Return a run of this body, which came to a new step after a replay."""
    app: App = new_app()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await body(ctx)
        await ctx.step.sleep("pause", "1h")
        await ctx.step.run("new", lambda: 1)

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        for _ in range(3):
            await h.advance("1h")
        return h.run(run.id)


async def test_branches_that_are_cancelled_stop_no_run() -> None:
    async def body(ctx: Context) -> None:
        def refuse() -> None:
            raise NonRetriableError("no")

        async def steps() -> None:
            for number in range(3):
                await ctx.step.run(str(number), lambda: 1)
            await ctx.step.sleep("long", "9d")

        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(steps())
                await ctx.step.run("bad", refuse)

    assert (await replayed(body)).status == "completed"


async def test_a_body_that_goes_another_way_at_its_next_attempt_stops_no_run() -> None:
    attempts: list[int] = []

    async def body(ctx: Context) -> None:
        async def flaky() -> None:
            attempts.append(1)
            await ctx.step.run(f"way {len(attempts)}", lambda: 1)
            if len(attempts) < 3:
                raise OSError("busy")

        await ctx.step.run("outer", flaky, retries=3)

    assert (await replayed(body)).status == "completed"


async def test_a_function_that_goes_another_way_at_its_next_attempt_stops_no_run() -> None:
    attempts: list[int] = []

    async def body(ctx: Context) -> None:
        try:
            attempts.append(1)
            if len(attempts) < 2:
                raise OSError("busy")
            await ctx.step.run("use", lambda: 1)
        finally:
            await ctx.step.run("close", lambda: 1)

    assert (await replayed(body)).status == "completed"


async def test_remembered_steps_inside_of_a_body_that_is_not_done_stop_no_run() -> None:
    async def body(ctx: Context) -> None:
        async def outer() -> None:
            await ctx.step.run("inner", lambda: 1)
            await ctx.step.sleep("nap", "1h")

        await ctx.step.run("outer", outer)

    assert (await replayed(body)).status == "completed"


async def test_what_the_losers_of_a_race_remember_stops_no_run() -> None:
    async def body(ctx: Context) -> None:
        async def slow() -> None:
            await ctx.step.run("inner", lambda: 1)
            await ctx.step.sleep("long", "9d")

        await ctx.step.race(slow=slow(), nap=ctx.step.sleep("nap", "1h"))

    assert (await replayed(body)).status == "completed"


@pytest.mark.filterwarnings("ignore:.*never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_what_a_loser_came_to_in_a_race_of_its_own_stops_no_run() -> None:
    async def body(ctx: Context) -> None:
        shared = ctx.step.run("shared", lambda: 1)

        async def inner() -> None:
            await ctx.step.race(shared=shared, nap=ctx.step.sleep("inner nap", "9d"))
            await ctx.step.sleep("long", "9d")

        await ctx.step.race(inner=inner(), nap=ctx.step.sleep("nap", "1h"))

    assert (await replayed(body)).status == "completed"


async def test_a_step_that_is_gone_from_the_branch_that_won_stops_the_run() -> None:
    codes = [["one", "two"], ["one"]]

    async def body(ctx: Context) -> None:
        async def wins() -> None:
            for name in codes[0]:
                await ctx.step.run(name, lambda: 1)

        await ctx.step.race(wins=wins(), nap=ctx.step.sleep("nap", "9d"))
        codes.pop(0)
        codes.append(["one"])

    assert (await replayed(body)).reason == "step_order_changed"


async def test_steps_that_were_made_and_not_awaited_yet_stop_no_run() -> None:
    async def body(ctx: Context) -> None:
        later = ctx.step.run("later", lambda: 1)
        await ctx.step.run("first", lambda: 1)
        await later

    assert (await replayed(body)).status == "completed"
