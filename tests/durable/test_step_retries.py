"""Retries: who tries again, how often, and what is no attempt at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celeriac import Context, NonRetriableError, RetryAfterError, StepError, ToolError
from celeriac.errors import ConfigError, LimitError, ModelError
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.retry import DELAYS, JITTER_SECONDS, next_retry
from celeriac.testing import Harness
from engine_stage import new_app

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_scope_tries_its_own_errors_again_and_keeps_the_steps_inside() -> None:
    app, inner, outer = new_app(), [], []

    @app.function(on="go")
    async def scoped(ctx: Context) -> str:
        async def body() -> str:
            outer.append(1)
            await ctx.step.run("inner", inner.append, 1)
            if len(outer) == 1:
                raise RuntimeError("own")
            return "ok"

        return await ctx.step.run("outer", body)

    async with Harness(app, conduct=Conduct(retry_delay=timedelta(0))) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).output, len(outer), len(inner)) == ("ok", 2, 1)
        assert h.attempts(run.id) == ["outer"]


async def test_a_step_error_from_inside_fails_the_scope_without_another_attempt() -> None:
    app, inner, outer = new_app(), [], []

    @app.function(on="go")
    async def scoped(ctx: Context) -> None:
        def bad() -> None:
            inner.append(1)
            raise ValueError("inner")

        async def body() -> None:
            outer.append(1)
            await ctx.step.run("inner", bad, retries=2)

        await ctx.step.run("outer", body, retries=4)

    async with Harness(app, conduct=Conduct(retry_delay=timedelta(0))) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, len(inner), len(outer)) == ("failed", 3, 1)
        assert h.attempts(run.id) == ["outer/inner", "outer/inner"]


async def test_parking_inside_a_scope_uses_none_of_its_attempts() -> None:
    app, tries = new_app(), []

    @app.function(on="go", retries=0)
    async def scoped(ctx: Context) -> int:
        async def body() -> int:
            for n in range(4):
                await ctx.step.sleep(f"nap {n}", "1h")
            tries.append(1)
            return 1 // (len(tries) - 1)

        return await ctx.step.run("outer", body, retries=1)

    async with Harness(app, conduct=Conduct(retry_delay=timedelta(0))) as h:
        [run] = await h.send("go")
        for _ in range(4):
            await h.restart()
            await h.advance("1h")
        assert (h.run(run.id).output, h.attempts(run.id)) == (1, ["outer"])


async def test_the_count_of_attempts_survives_a_crash() -> None:
    app, tries = new_app(), []

    @app.function(on="go")
    async def flaky(ctx: Context) -> None:
        def body() -> None:
            tries.append(1)
            raise RuntimeError("never")

        await ctx.step.run("flaky", body, retries=2)

    async with Harness(app, conduct=Conduct(retry_delay=timedelta(minutes=1))) as h:
        [run] = await h.send("go")
        for _ in range(4):
            await h.restart()
            await h.advance("1m")
        assert (h.run(run.id).status, len(tries)) == ("failed", 3)


async def test_a_retry_waits_without_a_worker() -> None:
    app = new_app()

    @app.function(on="go")
    async def flaky(ctx: Context) -> None:
        def body() -> None:
            raise RuntimeError("not now")

        await ctx.step.run("flaky", body)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, h.run(run.id).links) == ("parked", 1)


async def test_a_step_that_takes_longer_than_its_timeout_fails_that_attempt() -> None:
    app = new_app()

    @app.function(on="go")
    async def slow(ctx: Context) -> str:
        try:
            await ctx.step.run("slow", asyncio.Event().wait, timeout="50ms", retries=0)
        except StepError as error:
            return error.error_name
        return "ended"

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).output == "TimeoutError"


async def test_a_result_that_its_annotation_forbids_fails_the_run_without_retries() -> None:
    app, ran = new_app(), []

    def counts() -> int:
        ran.append(1)
        return "many"  # type: ignore[return-value]

    @app.function(on="go")
    async def wrong(ctx: Context) -> int:
        return await ctx.step.run("count", counts)

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert (h.run(run.id).status, len(ran)) == ("failed", 1)
        assert error is not None and "'count'" in error["message"]


def test_the_delays_grow_by_the_table_plus_jitter() -> None:
    for failed, seconds in enumerate(DELAYS, start=1):
        delay = next_retry(RuntimeError(), failed=failed, retries=20, now=NOW)
        assert delay is not None and seconds <= delay.total_seconds() <= seconds + JITTER_SECONDS


@pytest.mark.parametrize(
    "error",
    [
        NonRetriableError("n"),
        ToolError("t"),
        ConfigError("c"),
        LimitError("l"),
        StepError("s", "E", "m"),
        ModelError("m", kind="auth"),
        ModelError("m", kind="invalid"),
    ],
)
def test_errors_that_would_come_again_are_not_tried_again(error: Exception) -> None:
    assert next_retry(error, failed=1, retries=4, now=NOW) is None


@pytest.mark.parametrize("wish", [600, "10m", timedelta(minutes=10), NOW + timedelta(minutes=10)])
def test_an_error_may_ask_for_its_time_in_every_shape(wish: object) -> None:
    error = RetryAfterError("busy", wish)  # type: ignore[arg-type]
    assert next_retry(error, failed=1, retries=1, now=NOW) == timedelta(minutes=10)


def test_a_providers_retry_after_goes_before_our_delays() -> None:
    error = ModelError("busy", kind="rate_limit", retry_after=7)
    assert next_retry(error, failed=1, retries=4, now=NOW, fixed=timedelta(0)) == timedelta(seconds=7)


def test_no_retry_is_put_off_for_more_than_a_day() -> None:
    provider = ModelError("busy", kind="rate_limit", retry_after=1e20)  # no timedelta is as long
    for error in (RetryAfterError("b", "3d"), provider):
        assert next_retry(error, failed=1, retries=4, now=NOW) == timedelta(hours=24)


async def test_a_stop_iteration_in_a_thread_fails_its_step() -> None:
    app = new_app()

    @app.function(on="go")
    async def first(ctx: Context) -> Any:
        return await ctx.step.run("first", lambda: next(iter([])), retries=0)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.error is not None and "StopIteration left" in run.error["message"]
