"""Steps and tools that a process of the `cpu` queue performs: the run parks and goes on with the value."""

from __future__ import annotations

import asyncio
import functools
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import Agent, Context, Network, NonRetriableError, StepError, tool
from celeriac.errors import ConfigError, StoreUnavailable
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.performing import Performed, perform
from celeriac.platform.durable.placed import Process
from celeriac.platform.durable.time_limit import within
from celeriac.platform.store.local_store import LocalStore
from celeriac.testing import Harness, ScriptedModel, call, say
from engine_stage import Hold, Stage, new_app, soon
from waiting import until, work_for

SHORT, LONG = timedelta(seconds=0.05), timedelta(seconds=10)

performed: list[Any] = []


class Matrix(BaseModel):
    rows: list[list[int]]


def crunch(matrix: Matrix, factor: int = 1) -> int:
    performed.append(matrix)
    return factor * sum(map(sum, matrix.rows))


async def slow_crunch(number: int) -> int:
    await asyncio.gather()
    return number + 1


def fails_twice(number: int) -> int:
    performed.append(number)
    if len(performed) < 3:
        raise OSError("not yet")
    return number


def refuses(number: int) -> int:
    raise NonRetriableError(f"{number} is no good")


@tool(queue="cpu")
def total(numbers: list[int], factor: int = 2) -> int:
    """Add numbers up."""
    return factor * sum(numbers)


@pytest.fixture(autouse=True)
def nothing_performed() -> None:
    performed.clear()


async def test_the_value_comes_back_and_arguments_have_their_types() -> None:
    app = new_app()

    @app.function(on="go")
    async def work(ctx: Context) -> int:
        here = await ctx.step.run("crunch", crunch, Matrix(rows=[[1, 2], [3]]), 10, queue="cpu")
        return await ctx.step.run("slow", slow_crunch, here, queue="cpu")

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (run.status, run.output) == ("completed", 61)
        assert performed == [Matrix(rows=[[1, 2], [3]])]
        assert [memo.path for memo in h.steps(run.id)] == ["crunch", "slow"]


async def test_two_at_once_beside_a_step_of_its_own() -> None:
    app = new_app()

    @app.function(on="go")
    async def work(ctx: Context) -> list[int]:
        placed = (ctx.step.run(f"p{n}", slow_crunch, n, queue="cpu") for n in range(3))
        return list(await asyncio.gather(*placed, ctx.step.run("here", slow_crunch, 10)))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.output == [1, 2, 3, 11]
        await h.restart()
        assert sorted(memo.seq for memo in h.steps(run.id)) == [1, 2, 3, 4]


async def test_a_failing_one_is_tried_again_while_the_run_is_parked() -> None:
    app = new_app()

    @app.function(on="go")
    async def work(ctx: Context) -> int:
        return await ctx.step.run("flaky", fails_twice, 7, queue="cpu")

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (run.status, len(performed)) == ("parked", 1)
        await h.advance("5m")
        assert (h.run(run.id).output, h.attempts(run.id)) == (7, ["flaky", "flaky"])


async def test_an_error_for_good_is_raised_in_the_run() -> None:
    app = new_app()

    @app.function(on="go")
    async def work(ctx: Context) -> str:
        try:
            await ctx.step.run("no", refuses, 7, queue="cpu")
        except StepError as error:
            return f"{error.error_name}: {error.detail}"
        return "it worked"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.output == "NonRetriableError: 7 is no good"


async def test_a_tool_is_performed_elsewhere() -> None:
    agent = Agent("Adder", tools=[total], model="openai:gpt-4.1-mini")
    app = new_app()
    network = Network("Sums", agents=[agent], router=lambda ctx: agent if ctx.network.call_count < 2 else None)
    app.network(network)
    model = ScriptedModel([call("total", numbers=[1, 2]), say("six")])
    async with Harness(app, model=model) as h:
        [run] = await h.send(f"{app.name}/network-sums", {"input": "add"})
        assert run.output["text"] == "six"
        [memo] = [memo for memo in h.steps(run.id) if memo.path.endswith("/work")]
        assert memo.value == "6"


@pytest.mark.parametrize("fn", [lambda: 1, functools.partial(crunch), Matrix(rows=[]).model_dump])
async def test_what_another_process_cannot_find_is_refused(fn: Any) -> None:
    app = new_app()

    @app.function(on="go", retries=0)
    async def work(ctx: Context) -> Any:
        return await ctx.step.run("lost", fn, queue="cpu")

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.error is not None and "another process cannot find" in run.error["message"]


def test_a_tool_with_a_context_stays_where_its_context_is() -> None:
    with pytest.raises(ConfigError, match="without context"):

        @tool(queue="cpu")
        async def lookup(ctx: Context, key: str) -> str:
            """Look up."""
            return key


class Outages(LocalStore):
    """A store that does not answer so many times before it takes a placed step, or commits one."""

    outages = 0

    def place(self, *args: Any, **options: Any) -> Any:
        self._fail()
        return super().place(*args, **options)

    def commit_placed(self, *args: Any, **options: Any) -> Any:
        self._fail()
        return super().commit_placed(*args, **options)

    def _fail(self) -> None:
        if self.outages:
            self.outages -= 1
            raise StoreUnavailable("gone")


async def elsewhere(stage: Stage, run_id: str, path: str) -> Performed | None:
    """Perform a placed step as a process of another worker would."""
    process = Process(worker_id="wrk_cpu", pid=1, pid_started=1)
    return await soon(asyncio.to_thread(perform, stage.store, run_id, path, process, Conduct()))


async def test_an_outage_while_it_is_committed_costs_no_second_performance() -> None:
    app, store = new_app(), Outages()

    @app.function(on="go")
    async def work(ctx: Context) -> int:
        return await ctx.step.run("crunch", crunch, Matrix(rows=[[1, 2]]), queue="cpu")

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        store.outages = 2
        outcome = await elsewhere(stage, run_id, "crunch")
        assert outcome is not None and [run.run_id for run in outcome.woken] == [run_id]
        assert (await stage.finish(run_id)).output == 3
        assert (len(performed), store.performing("wrk_cpu")) == (1, [])


async def test_user_code_sees_nothing_of_an_outage_while_it_is_placed() -> None:
    app, store, seen = new_app(), Outages(), []

    @app.function(on="go")
    async def work(ctx: Context) -> Any:
        try:
            return await ctx.step.run("slow", slow_crunch, 1, queue="cpu")
        except Exception as error:
            seen.append(error)
            raise

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        store.outages = 1
        assert (await stage.finish(run_id)).status == "parked"
        await elsewhere(stage, run_id, "slow")
        assert ((await stage.finish(run_id)).output, seen) == (2, [])


async def test_a_step_that_is_moved_elsewhere_while_it_waits_for_a_retry_is_placed() -> None:
    app = new_app()
    queues: list[str | None] = [None]

    @app.function(on="go")
    async def work(ctx: Context) -> int:
        return await ctx.step.run("flaky", fails_twice, 7, queue=queues[-1])

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (run.status, len(performed)) == ("parked", 1)
        queues.append("cpu")
        await h.advance("5m")
        assert (h.run(run.id).output, len(performed)) == (7, 3)


async def test_it_is_heard_of_while_the_body_of_a_sibling_executes() -> None:
    app, hold, heard = new_app(), Hold("whole"), []

    @app.function(on="go")
    async def work(ctx: Context) -> list[Any]:
        async def beside() -> None:
            heard.append(await ctx.step.run("slow", slow_crunch, 1, queue="cpu"))

        return list(await asyncio.gather(beside(), ctx.step.run("here", hold)))

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await hold.is_entered()
        await until(lambda: stage.store.placed, what="the step to be placed")
        await elsewhere(stage, run_id, "slow")
        await until(lambda: heard == [2], what="the branch to go on beside the body")
        hold.let_go()
        await soon(link)
        assert stage.run(run_id).output == [None, "whole"]


def test_work_that_takes_too_long_is_interrupted_in_a_main_thread() -> None:
    ended: list[str] = []

    def work() -> None:
        work_for(LONG.total_seconds())
        ended.append("whole")

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(TimeoutError, match=r"longer than 0\.05 s"):
        within(SHORT, work)
    assert ended == []


async def test_work_that_takes_too_long_is_left_in_any_other_thread() -> None:
    gate = threading.Event()
    limited = asyncio.to_thread(within, SHORT, functools.partial(gate.wait, LONG.total_seconds()))
    with pytest.raises(TimeoutError, match=r"longer than 0\.05 s"):
        await soon(limited)
    gate.set()


@pytest.mark.parametrize("limit", [None, LONG])
async def test_work_that_ends_in_time_returns_or_raises_what_it_does(limit: timedelta | None) -> None:
    def times_out() -> None:
        raise TimeoutError("its own")

    for work_in in (asyncio.to_thread, _at_once):
        assert await work_in(within, limit, lambda: 7) == 7
        with pytest.raises(TimeoutError, match="its own"):
            await work_in(within, limit, times_out)


async def _at_once(fn: Any, *args: Any) -> Any:
    return fn(*args)


async def test_a_step_that_takes_too_long_fails() -> None:
    app = new_app()

    @app.function(on="go", retries=0)
    async def work(ctx: Context) -> None:
        await ctx.step.run("long", work_for, 1.0, queue="cpu", timeout=SHORT)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        await elsewhere(stage, run_id, "long")
        [memo] = stage.steps(run_id)
        assert "TimeoutError" in str(memo.error)
