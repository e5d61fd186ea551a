"""What a durable function may rely on, one behaviour a test."""

import asyncio
from typing import Any

import pytest

from celeriac import App, Context, Event, NonRetriableError, RetryAfterError, StepError
from celeriac.testing import Harness

app_counter = iter(range(10_000))


def new_app() -> App:
    return App(f"t{next(app_counter)}")


async def test_a_step_that_succeeded_is_not_run_again() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def two_steps(ctx: Context) -> str:
        await ctx.step.run("first", ran.append, "first")
        await ctx.step.sleep("pause", "1h")
        await ctx.step.run("second", ran.append, "second")
        return "done"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).status == "parked"
        await h.restart()
        await h.advance("1h")
        assert (h.run(run.id).status, h.run(run.id).output, ran) == ("completed", "done", ["first", "second"])


async def test_a_step_returns_the_declared_type_live_and_replayed() -> None:
    app, seen = new_app(), []

    def load() -> set[int]:
        return {1, 2}

    @app.function(on="go")
    async def typed(ctx: Context) -> None:
        seen.append(await ctx.step.run("load", load))
        await ctx.step.sleep("pause", 1)

    async with Harness(app) as h:
        await h.send("go")
        await h.advance(2)
    assert seen == [{1, 2}, {1, 2}]


async def test_a_failed_step_is_tried_again_after_a_growing_delay() -> None:
    app, tries = new_app(), []

    @app.function(on="go")
    async def flaky(ctx: Context) -> str:
        def body() -> str:
            tries.append(1)
            if len(tries) < 3:
                raise RuntimeError("not yet")
            return "ok"

        return await ctx.step.run("flaky", body)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert len(tries) == 1
        await h.advance("50s")
        await h.advance("61s")
        assert (len(tries), h.run(run.id).output, h.attempts(run.id)) == (3, "ok", ["flaky", "flaky"])


async def test_exhausted_retries_are_a_step_error_that_can_be_caught() -> None:
    app = new_app()

    @app.function(on="go")
    async def catches(ctx: Context) -> str:
        def body() -> None:
            raise ValueError("bad")

        try:
            await ctx.step.run("bad", body, retries=0)
        except StepError as error:
            return f"{error.step}: {error.error_name}: {error.detail}"
        return "no error"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).output == "bad: ValueError: bad"


async def test_a_non_retriable_error_is_not_tried_again_and_fails_the_run() -> None:
    app, tries = new_app(), []

    @app.function(on="go")
    async def stops(ctx: Context) -> None:
        def body() -> None:
            tries.append(1)
            raise NonRetriableError("no such card")

        await ctx.step.run("card", body)

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert (h.run(run.id).status, len(tries)) == ("failed", 1)
        assert error is not None and error["code"] == "step_failed" and "no such card" in error["message"]


async def test_retry_after_says_when_the_next_attempt_is_made() -> None:
    app, tries = new_app(), []

    @app.function(on="go")
    async def asks(ctx: Context) -> None:
        def body() -> None:
            tries.append(1)
            if len(tries) == 1:
                raise RetryAfterError("busy", "10m")

        await ctx.step.run("ask", body)

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("9m")
        assert len(tries) == 1
        await h.advance("1m")
        assert (len(tries), h.run(run.id).status) == (2, "completed")


async def test_a_parked_run_wakes_when_its_event_arrives() -> None:
    app = new_app()

    @app.function(on="order/placed")
    async def waits(ctx: Context, order: str) -> Any:
        paid = await ctx.step.wait_for_event("paid", "order/paid", match="data.order", timeout="1d")
        return None if paid is None else paid.data["sum"]

    async with Harness(app) as h:
        [run] = await h.send("order/placed", {"order": "A"})
        await h.send("order/paid", {"order": "B", "sum": 1})
        assert h.run(run.id).status == "parked"
        await h.send("order/paid", {"order": "A", "sum": 7})
        assert (h.run(run.id).status, h.run(run.id).output) == ("completed", 7)


async def test_a_wait_for_an_event_ends_with_none_at_its_timeout() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> str:
        return "none" if await ctx.step.wait_for_event("w", "never", timeout="4h") is None else "came"

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("3h")
        assert h.run(run.id).status == "parked"
        await h.advance("1h")
        assert h.run(run.id).output == "none"


async def test_since_looks_back_for_an_event_that_came_first() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> str:
        event = await ctx.step.wait_for_event("w", "early", timeout="1h", since="10m")
        return "none" if event is None else str(event.data["n"])

    async with Harness(app) as h:
        await h.send("early", {"n": 3})
        [run] = await h.send("go")
        assert h.run(run.id).output == "3"


async def test_an_event_is_sent_once_over_replays() -> None:
    app, started = new_app(), []

    @app.function(on="go")
    async def sends(ctx: Context) -> list[str]:
        ids = await ctx.step.send_event("tell", [Event("heard", {"n": 1}), Event("heard", {"n": 2})])
        await ctx.step.sleep("pause", "1m")
        return ids

    @app.function(on="heard")
    async def hears(ctx: Context, n: int) -> None:
        started.append(n)

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1m")
        assert sorted(started) == [1, 2] and len(h.run(run.id).output) == 2


async def test_parallel_steps_keep_every_finished_sibling() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def gathers(ctx: Context) -> list[Any]:
        async def work(name: str) -> str:
            ran.append(name)
            return name

        one, _, two = await asyncio.gather(
            ctx.step.run("one", work, "one"), ctx.step.sleep("nap", "5s"), ctx.step.run("two", work, "two")
        )
        return [one, two]

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("5s")
        assert (h.run(run.id).output, sorted(ran)) == (["one", "two"], ["one", "two"])


async def test_repeated_ids_of_one_task_are_numbered() -> None:
    app = new_app()

    @app.function(on="go")
    async def repeats(ctx: Context) -> list[int]:
        return [await ctx.step.run("n", lambda i=i: i) for i in range(3)]

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).output == [0, 1, 2]
        assert [memo.path for memo in h.steps(run.id)] == ["n", "n:1", "n:2"]


async def test_one_id_in_two_tasks_is_refused() -> None:
    app = new_app()

    @app.function(on="go", retries=0)
    async def conflicts(ctx: Context) -> None:
        async def branch() -> None:
            await ctx.step.run("same", lambda: 1)

        await asyncio.gather(branch(), branch())

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).error is not None and h.run(run.id).error["code"] == "step_id_conflict"  # type: ignore[index]


async def test_scopes_separate_the_same_id() -> None:
    app = new_app()

    @app.function(on="go")
    async def separated(ctx: Context) -> list[str]:
        async def branch(name: str) -> str:
            with ctx.step.scope(name):
                return await ctx.step.run("same", lambda: name)

        return list(await asyncio.gather(branch("left"), branch("right")))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).output == ["left", "right"]
        assert sorted(memo.path for memo in h.steps(run.id)) == ["left/same", "right/same"]


async def test_data_that_does_not_fit_fails_the_run_at_once() -> None:
    app = new_app()

    @app.function(on="go")
    async def typed(ctx: Context, amount: int) -> int:
        return amount

    async with Harness(app) as h:
        [run] = await h.send("go", {"amount": "many"})
        assert h.run(run.id).error["code"] == "invalid_event"  # type: ignore[index]
        assert h.run(run.id).links == 1


async def test_an_error_of_the_body_itself_is_retried_by_the_functions_count() -> None:
    app, tries = new_app(), []

    @app.function(on="go", retries=1)
    async def fails(ctx: Context) -> None:
        tries.append(1)
        raise RuntimeError("outside of steps")

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("1m")
        await h.advance("10m")
        assert (len(tries), h.run(run.id).status) == (2, "failed")


@pytest.mark.parametrize("status", ["parked"])
async def test_a_parked_run_is_cancelled_at_once(status: str) -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> None:
        await ctx.step.sleep("long", "10d")

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.status == status
        assert h.cancel(run.id).status == "cancelled"
        await h.advance("11d")
        assert h.run(run.id).status == "cancelled"
