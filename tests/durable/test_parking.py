"""Parking: when a run stands still, and what of its code runs when its coroutines end for that."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from celeriac import Context
from celeriac.errors import ConfigError
from celeriac.platform.durable.stillness import Stillness
from celeriac.testing import Harness
from engine_stage import Stage, new_app, soon
from waiting import work_for


async def test_io_outside_of_steps_is_cut_when_only_waits_are_left_and_runs_again() -> None:
    app, begun, answer = new_app(), [], asyncio.Event()

    @app.function(on="go")
    async def mixes(ctx: Context) -> str:
        async def io() -> str:
            begun.append(1)
            await answer.wait()
            return "answered"

        return (await asyncio.gather(io(), ctx.step.sleep("nap", "1h")))[0]

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, len(begun)) == ("parked", 1)
        answer.set()
        await h.advance("1h")
        assert (h.run(run.id).output, len(begun)) == ("answered", 2)


async def test_io_outside_of_steps_beside_a_wait_is_given_time_to_end() -> None:
    app, ended = new_app(), []

    @app.function(on="go")
    async def mixes(ctx: Context) -> None:
        async def io() -> None:
            await asyncio.to_thread(work_for, 0.2)
            ended.append(await ctx.step.run("after", lambda: "done"))

        await asyncio.gather(io(), ctx.step.sleep("nap", "1h"))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, ended) == ("parked", ["done"])


async def test_a_body_that_executes_keeps_the_run_from_parking() -> None:
    app, parked_in_vain = new_app(), asyncio.Event()

    @app.function(on="go")
    async def works(ctx: Context) -> list[Any]:
        async def body() -> str:
            await asyncio.to_thread(work_for, 1.2)
            return "whole"

        return list(await asyncio.gather(ctx.step.sleep("nap", "1h"), ctx.step.run("work", body)))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert not parked_in_vain.is_set()
        await h.advance("1h")
        assert h.run(run.id).output == [None, "whole"]
        assert [memo.path for memo in h.steps(run.id)] == ["work", "nap"]


async def test_a_semaphore_around_waits_parks() -> None:
    app = new_app()

    @app.function(on="go")
    async def one_by_one(ctx: Context) -> str:
        one = asyncio.Semaphore(1)

        async def nap(name: str) -> None:
            async with one:
                await ctx.step.sleep(name, "1h")

        await asyncio.gather(nap("a"), nap("b"))
        return "rested"

    async with asyncio.timeout(10), Harness(app) as h:  # a run that does not park never comes to rest
        [run] = await h.send("go")
        assert h.run(run.id).status == "parked"
        await h.advance("1h")
        await h.advance("1h")
        assert h.run(run.id).output == "rested"


async def test_siblings_in_a_task_group_finish_before_the_run_parks() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def groups(ctx: Context) -> list[str]:
        async with asyncio.TaskGroup() as group:
            group.create_task(_awaited(ctx.step.sleep("nap", "1h")))
            works = [group.create_task(_awaited(ctx.step.run(n, ran.append, n))) for n in "ab"]
        assert all(work.done() for work in works)
        return ran

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, ran) == ("parked", ["a", "b"])
        await h.advance("1h")
        assert h.run(run.id).output == ["a", "b"]


async def _awaited(step: Any) -> Any:
    return await step


async def test_a_step_in_finally_is_skipped_at_parking_and_runs_at_the_real_end() -> None:
    app, closed = new_app(), []

    @app.function(on="go")
    async def sandboxed(ctx: Context) -> str:
        try:
            await ctx.step.sleep("nap", "1h")
            return "rested"
        finally:
            await ctx.step.run("close", closed.append, 1)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, closed) == ("parked", [])
        await h.advance("1h")
        assert (h.run(run.id).output, closed) == ("rested", [1])


async def test_plain_cleanup_runs_at_each_parking_and_can_tell_it_from_the_real_end() -> None:
    app, cleanups = new_app(), []

    @app.function(on="go")
    async def holds(ctx: Context) -> None:
        @asynccontextmanager
        async def lock() -> AsyncIterator[None]:
            try:
                yield
            finally:
                cleanups.append(ctx.suspending)

        async with lock():
            await ctx.step.sleep("nap", "1h")

    async with Harness(app) as h:
        await h.send("go")
        assert cleanups == [True]
        await h.advance("1h")
        assert cleanups == [True, False]


@pytest.mark.parametrize("ending", ["swallows", "raises"])
async def test_code_that_catches_everything_does_not_end_a_run_that_parks(ending: str) -> None:
    app = new_app()

    @app.function(on="go")
    async def greedy(ctx: Context) -> str:
        try:
            await ctx.step.sleep("nap", "1h")
        except BaseException as error:
            if ending == "raises":
                raise RuntimeError("cannot go on") from error
            return "swallowed"
        return "rested"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, h.attempts(run.id)) == ("parked", [])
        await h.advance("1h")
        assert h.run(run.id).output == "rested"


async def test_a_scope_that_catches_everything_has_not_failed_when_its_run_parks() -> None:
    app = new_app()

    @app.function(on="go")
    async def greedy(ctx: Context) -> str:
        async def body() -> str:
            try:
                await ctx.step.sleep("nap", "1h")
            except BaseException as error:
                raise ValueError("cannot go on") from error
            return "rested"

        return await ctx.step.run("outer", body)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, h.attempts(run.id), h.steps(run.id)) == ("parked", [], [])
        await h.advance("1h")
        assert h.run(run.id).output == "rested"


async def test_no_exception_reaches_user_code_that_catches_exceptions_when_a_run_parks() -> None:
    app, seen = new_app(), []

    @app.function(on="go")
    async def careful(ctx: Context) -> None:
        try:
            await ctx.step.sleep("nap", "1h")
        except Exception as error:  # noqa: BLE001  # whatever may come
            seen.append(error)

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("1h")
        assert (h.run(run.id).status, seen) == ("completed", [])


async def test_a_task_that_ignores_its_ending_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    app, free = new_app(), asyncio.Event()

    @app.function(on="go")
    async def stubborn(ctx: Context) -> None:
        async def ignores() -> None:
            try:
                await ctx.step.sleep("nap", "1h")
            except asyncio.CancelledError:
                await free.wait()

        await asyncio.gather(ignores(), ctx.step.sleep("other", "1h"))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).status == "parked"
        [line] = [record for record in caplog.records if "dropped" in record.getMessage()]
        assert line.levelno == logging.WARNING
        free.set()


async def test_a_function_that_returns_is_done_whatever_it_left_waiting() -> None:
    app = new_app()

    @app.function(on="go")
    async def leaves(ctx: Context) -> str:
        nap = asyncio.create_task(_awaited(ctx.step.sleep("nap", "10d")))
        first = asyncio.create_task(_awaited(ctx.step.run("quick", lambda: "quick")))
        done, _ = await asyncio.wait({nap, first}, return_when=asyncio.FIRST_COMPLETED)
        return str(done.pop().result())

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, h.run(run.id).output) == ("completed", "quick")


async def test_a_run_that_parks_holds_no_link() -> None:
    app = new_app()

    @app.function(on="go")
    async def sleeps(ctx: Context) -> None:
        await ctx.step.sleep("nap", "1h")

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        assert await soon(stage.advance(run_id)) is False
        stored = stage.store.all[run_id]
        assert (stored.run.status, stored.worker_id, stage.engine().executing()) == ("parked", None, [])


def test_a_loop_that_cannot_be_looked_into_is_refused() -> None:
    class Other(asyncio.AbstractEventLoop): ...

    with pytest.raises(ConfigError, match="asyncio's own event loop, and Other is another"):
        Stillness(Other(), ContextVar("owner"))


async def test_code_that_never_stops_to_run_does_not_hold_up_its_siblings_for_ever() -> None:
    app, is_over = new_app(), []

    @app.function(on="go")
    async def spins(ctx: Context) -> str:
        def spin() -> None:
            if not is_over:
                asyncio.get_running_loop().call_soon(spin)

        spin()
        await asyncio.gather(*(ctx.step.run(name, lambda: 1) for name in "ab"))
        is_over.append(1)
        return "done"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).output == "done"
