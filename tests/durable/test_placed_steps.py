"""Steps and tools that a process of the `cpu` queue performs: the run parks and goes on with the value."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import Agent, Context, Network, NonRetriableError, StepError, tool
from celeriac.errors import ConfigError
from celeriac.testing import Harness, ScriptedModel, call, say
from engine_stage import new_app

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
    agent = Agent("Adder", tools=[total])
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
