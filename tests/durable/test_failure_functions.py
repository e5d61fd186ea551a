"""`on_failure`: a function of its own that handles the failed runs of another."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from celeriac import Context, Event, NonRetriableError
from celeriac.errors import RunFailed
from celeriac.testing import Harness
from engine_stage import new_app

Told = list[tuple[Context[Any], RunFailed]]


def failing(told: Told, **options: Any) -> Any:
    """Make an app whose function `work` fails, and whose failures are told."""
    app = new_app()

    async def note(ctx: Context, error: RunFailed) -> str:
        """Note it."""
        told.append((ctx, error))
        return "noted"

    @app.function(on="go", on_failure=note, **options)
    async def work(ctx: Context, n: int = 0) -> None:
        raise NonRetriableError(f"no {n}")

    return app


async def test_a_failed_run_calls_its_handler_with_its_event_and_its_error() -> None:
    told: Told = []
    async with Harness(failing(told)) as h:
        [run] = await h.send(Event("go", {"n": 7}, id="mine"))
        assert [one.function_id for one in h.runs()] == ["work", "work.on-failure"]
    [(ctx, error)] = told
    assert (ctx.event.name, ctx.event.data, ctx.event.id, ctx.events) == ("go", {"n": 7}, "mine", [ctx.event])
    assert ctx.event.ts == run.created_at
    assert (error.run_id, error.function_id, error.code, error.message) == (run.id, "work", "non_retriable", "no 7")


async def test_the_handler_has_a_run_of_its_own_with_steps_and_retries() -> None:
    app, tries = new_app(), []

    async def note(ctx: Context, error: RunFailed) -> str:
        tries.append(await ctx.step.run("once", lambda: len(tries)))
        if len(tries) < 2:
            raise OSError("not yet")
        return f"noted {ctx.event.name}"

    @app.function(on="go", retries=0, on_failure=note)
    async def work(ctx: Context) -> None:
        raise ValueError("no")

    async with Harness(app) as h:
        await h.send("go")
        await h.advance("1h")
        assert [run.output for run in h.runs()] == [None, "noted go"]
    assert tries == [0, 0]


async def test_a_cancelled_run_calls_nobody() -> None:
    told: Told = []
    app = failing(told, timeout="1s", debounce=None)

    @app.function(on="wait", on_failure=app.functions[f"{app.name}/work"].fn)
    async def waits(ctx: Context) -> None:
        await ctx.step.sleep("long", "1d")

    async with Harness(app) as h:
        [run] = await h.send("wait")
        assert h.cancel(run.id).status == "cancelled"
        await h.settle()
        assert [one.function_id for one in h.runs()] == ["waits"]


async def test_a_run_that_ended_well_calls_nobody() -> None:
    app, told = new_app(), []

    async def note(ctx: Context, error: RunFailed) -> None:
        told.append(error)

    @app.function(on="go", on_failure=note)
    async def work(ctx: Context) -> None:
        return None

    async with Harness(app) as h:
        await h.send("go")
        assert len(h.runs()) == 1
    assert told == []


async def test_a_handler_that_fails_calls_nothing_more() -> None:
    app = new_app()

    async def broken(ctx: Context, error: RunFailed) -> None:
        raise NonRetriableError("this one too")

    @app.function(on="go", on_failure=broken)
    async def work(ctx: Context) -> None:
        raise NonRetriableError("no")

    async with Harness(app) as h:
        await h.send("go")
        await h.advance("1d")
        assert [(run.function_id, run.status) for run in h.runs()] == [
            ("work", "failed"),
            ("work.on-failure", "failed"),
        ]


async def test_the_failures_of_another_function_are_not_its_own() -> None:
    told: Told = []
    app = failing(told)

    @app.function(on="other")
    async def other(ctx: Context) -> None:
        raise NonRetriableError("no")

    async with Harness(app) as h:
        await h.send("other")
        assert [run.function_id for run in h.runs()] == ["other"]


async def test_the_handler_sees_typed_events_and_those_that_do_not_fit() -> None:
    class Order(BaseModel):
        n: int

    told: Told = []
    app = failing(told)
    app.event("go", Order)
    async with Harness(app) as h:
        await h.send("go", {"n": 3})
    assert told[0][0].event.data == Order(n=3)
