"""Invoking: a run starts another one, stands still until it ends, and goes on with what came of it."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import App, Context, NonRetriableError, StepError
from celeriac.testing import Harness
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import TENANT, Stage, new_app


class Quote(BaseModel):
    """What the invoked function returns."""

    cents: int


def doubling(app: App, effects: list[Any]) -> None:
    @app.function(on="never")
    async def double(ctx: Context, n: int) -> int:
        await ctx.step.sleep("nap", "1h")
        return int(await ctx.step.run("count", lambda: effects.append(n) or 2 * n))

    @app.function(on="go")
    async def asks(ctx: Context) -> int:
        return 1 + await ctx.step.invoke("double", double, {"n": 4})


async def test_a_run_goes_on_with_the_output_of_the_run_that_it_invoked() -> None:
    async def drive(play: Play) -> Any:
        await play.send("go")
        assert play.run_of("asks").status == play.run_of("double").status == "parked"
        await play.pass_time("1h")
        return play.run_of("asks").output, play.effects

    outcomes = await play_with_a_death_at_each_point(doubling, drive)
    assert len(outcomes) > 4
    assert {output for output, _ in outcomes} == {9}
    assert all(set(effects) == {4} and len(effects) <= 2 for _, effects in outcomes)


async def test_an_invoked_run_is_started_once_and_knows_who_invoked_it() -> None:
    app = new_app()
    doubling(app, [])
    async with Stage(app) as stage:
        play = Play(stage)
        await play.send("go")
        await play.pass_time("1h")
        child, parent = play.run_of("double"), play.run_of("asks")
        [[memo, step]] = stage.store.all[parent.id].steps.values()
        given = {"function": f"{app.name}/double", "run_id": child.id, "data": {"n": 4}}
        assert (memo.kind, json.loads(step.input or "")) == ("invoke", given)
        assert stage.store.all[child.id].parent_id == parent.id


async def invoke_and_tell(body: Any, *, target: str | None = None, **options: Any) -> Any:
    """Return what a run gets that invokes a function with this body."""
    app = new_app()
    child = app.function(id="child", on="never")(body)

    @app.function(on="go")
    async def asks(ctx: Context) -> Any:
        try:
            return await ctx.step.invoke("child", target or child, **options)
        except StepError as error:
            return [error.step, error.error_name, error.detail]

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("1d")
        return h.run(run.id).output


async def test_the_failure_of_an_invoked_run_is_a_step_error_with_its_code() -> None:
    async def fails(ctx: Context) -> None:
        raise NonRetriableError("there is no such card")

    assert await invoke_and_tell(fails) == ["child", "non_retriable", "there is no such card"]


async def test_an_unknown_function_is_a_step_error() -> None:
    async def idle(ctx: Context) -> None: ...

    step, name, detail = await invoke_and_tell(idle, target="nowhere/nothing")
    assert (step, name) == ("child", "unknown_function")
    assert "no such function" in detail


async def test_an_invoked_run_that_takes_too_long_goes_on_without_the_one_that_waited() -> None:
    async def sleeps(ctx: Context) -> None:
        await ctx.step.sleep("nap", "2d")

    step, name, _ = await invoke_and_tell(sleeps, timeout="1h")
    assert (step, name) == ("child", "TimeoutError")


async def test_an_invoked_run_that_is_cancelled_is_a_step_error_and_a_cancelled_parent_leaves_its_child() -> None:
    app = new_app()
    doubling(app, [])
    async with Harness(app) as h:
        [first] = await h.send("go")
        [second] = await h.send("go")
        children = [run.id for run in h.runs() if run.function_id == "double"]
        h.cancel(children[0])
        h.cancel(second.id)
        await h.settle()
        error = h.run(first.id).error
        assert error is not None and (error["code"], "cancelled" in error["message"]) == ("step_failed", True)
        await h.advance("1h")
        assert (h.run(second.id).status, h.run(children[1]).output) == ("cancelled", 8)


async def test_a_skipped_run_is_a_step_error_with_the_reason() -> None:
    app = new_app()
    doubling(app, [])
    async with Stage(app) as stage:
        stage.store.pause(TENANT, app.name, "double", is_paused=True)
        play = Play(stage)
        await play.send("go")
        error = play.run_of("asks").error
        assert error is not None and "skipped" in error["message"] and "paused" in error["message"]


async def test_the_output_comes_back_through_the_annotation_of_the_function() -> None:
    app, seen = new_app(), []

    @app.function(on="never")
    async def quote(ctx: Context) -> Quote:
        return Quote(cents=990)

    @app.function(on="go")
    async def asks(ctx: Context) -> None:
        seen.append(await ctx.step.invoke("quote", quote))
        seen.append(await ctx.step.invoke("by name", f"{app.name}/quote"))

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.settle()
        assert h.run(run.id).status == "completed"
    assert next(one for one in seen if isinstance(one, Quote)) == Quote(cents=990)
    assert seen[-1] == {"cents": 990}


async def test_invoked_runs_side_by_side_meet_again() -> None:
    app = new_app()

    @app.function(on="never")
    async def square(ctx: Context, n: int) -> int:
        return n * n

    @app.function(on="go")
    async def asks(ctx: Context) -> list[int]:
        return list(await asyncio.gather(*(ctx.step.invoke(f"square {n}", square, {"n": n}) for n in range(5))))

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.settle()
        assert h.run(run.id).output == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(
    ("target", "data", "words"),
    [("no-slash", None, "'app/id'"), ("a/b", [1], "is an object"), ("a/b", {"n": "x" * 600_000}, "the limit is")],
)
async def test_what_cannot_be_invoked_is_refused_where_it_is_asked(target: str, data: Any, words: str) -> None:
    app = new_app()

    @app.function(on="go")
    async def asks(ctx: Context) -> None:
        await ctx.step.invoke("child", target, data)

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and words in error["message"]
