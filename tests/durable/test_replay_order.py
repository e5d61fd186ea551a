"""Replay: branches that ran side by side meet again as they met before, and nothing is told twice."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from celeriac import Context, NonRetriableError, RetryAfterError
from celeriac.platform.durable.memo import Entry, Memo
from celeriac.platform.store.local_store import LocalStore
from celeriac.testing import Harness
from engine_stage import Stage, new_app, soon
from waiting import until


async def orders_of(body: Callable[[Context, list[Any]], Awaitable[None]]) -> list[list[Any]]:
    """Run a body that notes what it met, live and then from its memos alone; return both notes."""
    app, orders = new_app(), []

    @app.function(on="go")
    async def meets(ctx: Context) -> None:
        order: list[Any] = []
        await body(ctx, order)
        orders.append(order)
        await ctx.step.sleep("pause", 1)

    async with Harness(app) as h:
        await h.send("go")
        await h.restart()
        await h.advance(1)
    return orders


async def test_the_branch_that_won_live_wins_the_replay() -> None:
    async def races(ctx: Context, order: list[Any]) -> None:
        fast_is_done = asyncio.Event()

        async def branch(name: str, body: Any) -> None:
            await ctx.step.run(name, body)
            order.append(name)
            fast_is_done.set()

        await asyncio.gather(branch("slow", fast_is_done.wait), branch("fast", lambda: None))

    assert await orders_of(races) == [["fast", "slow"]] * 2


async def test_a_step_behind_a_gather_keeps_its_place_in_the_order() -> None:
    async def meets(ctx: Context, order: list[Any]) -> None:
        c_is_done = asyncio.Event()

        async def left() -> None:
            await asyncio.gather(ctx.step.run("a", lambda: 1), ctx.step.run("b", lambda: 1))
            await ctx.step.run("c", lambda: 1)
            order.append("c")
            c_is_done.set()

        async def right() -> None:
            await ctx.step.run("d", c_is_done.wait)
            order.append("d")

        await asyncio.gather(left(), right())

    assert await orders_of(meets) == [["c", "d"]] * 2


async def test_many_branches_replay_in_the_order_of_their_commits() -> None:
    async def fans_out(ctx: Context, order: list[Any]) -> None:
        async def branch(n: int) -> None:
            for part in range(3):
                await ctx.step.run(f"{n}-{part}", lambda: n)
                order.append(n)

        async with asyncio.TaskGroup() as group:
            for n in range(12):
                group.create_task(branch(n))

    live, replayed = await orders_of(fans_out)
    assert live == replayed and len(live) == 36


async def test_a_failed_step_fails_a_gather_at_once_live_and_on_replay() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def gathers(ctx: Context) -> None:
        def bad() -> None:
            ran.append(1)
            raise NonRetriableError("no")

        await asyncio.gather(ctx.step.run("bad", bad), ctx.step.sleep("nap", "10d"))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).status, len(ran)) == ("failed", 1)


async def test_a_branch_goes_on_behind_its_gather_while_another_one_waits() -> None:
    app = new_app()

    @app.function(on="go")
    async def gathers(ctx: Context) -> None:
        async def left() -> None:
            await asyncio.gather(*(asyncio.gather(ctx.step.run(name, lambda: 1)) for name in "ab"))
            await ctx.step.run("c", lambda: 3)

        await asyncio.gather(left(), ctx.step.sleep("nap", "10d"))

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert [memo.path for memo in h.steps(run.id)] == ["a", "b", "c"]


async def test_a_cache_that_holds_a_part_of_the_memos_is_not_trusted() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        for name in ("one", "two", "three"):
            await ctx.step.run(name, ran.append, name)
        await ctx.step.sleep("pause", "1h")

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        kept = stage.cache.load("test", run_id, 3) or []
        stage.cache.clear()
        stage.cache.save("test", run_id, {Memo.decode(text).path: text for text in kept[:2]})
        stage.pass_time("1h")
        misses = stage.cache.misses
        await stage.finish(run_id)
        assert (stage.run(run_id).status, ran) == ("completed", ["one", "two", "three"])
        assert stage.cache.misses == misses + 1


async def test_a_next_link_reads_its_memos_from_the_cache() -> None:
    app = new_app()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("one", lambda: 1)
        await ctx.step.sleep("pause", "1h")
        await ctx.step.run("two", lambda: 2)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        stage.pass_time("1h")
        assert (await stage.finish(run_id)).status == "completed"
        assert (stage.cache.hits, stage.cache.misses) == (1, 0)


async def test_the_log_of_a_run_is_silent_on_replay(caplog: pytest.LogCaptureFixture) -> None:
    app = new_app()

    @app.function(on="go")
    async def talks(ctx: Context) -> None:
        ctx.log.info("begun")
        await ctx.step.run("one", lambda: 1)
        ctx.log.info("asking")
        await ctx.step.sleep("pause", "1h")
        ctx.log.info("ended")

    caplog.set_level(logging.INFO, "celeriac.run")
    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1h")
    lines = [record for record in caplog.records if record.name == "celeriac.run"]
    assert [record.getMessage().split("] ")[1] for record in lines] == ["begun", "asking", "ended"]
    assert {(record.tenant_id, record.run_id) for record in lines} == {("test", run.id)}  # type: ignore[attr-defined]


async def test_the_log_inside_a_step_names_the_step(caplog: pytest.LogCaptureFixture) -> None:
    app = new_app()

    @app.function(on="go")
    async def talks(ctx: Context) -> None:
        async def body() -> None:
            ctx.log.warning("inside")

        with ctx.step.scope("part"):
            await ctx.step.run("one", body)

    async with Harness(app) as h:
        await h.send("go")
    [line] = [record for record in caplog.records if record.name == "celeriac.run"]
    assert line.step == "part/one"  # type: ignore[attr-defined]


async def meets_behind_gathers(ctx: Context, may_go: threading.Event) -> list[str]:
    """Let one branch learn of its steps by a gather of gathers, and the other at once; return how they met."""
    order: list[str] = []

    async def left() -> None:
        await asyncio.gather(*(asyncio.gather(ctx.step.run(name, lambda: 1)) for name in "ab"))
        order.append("left")

    async def right() -> None:
        await asyncio.to_thread(may_go.wait, 10)
        await ctx.step.run("c", lambda: 1)
        order.append("right")

    await asyncio.gather(left(), right())
    return order


async def test_steps_that_were_committed_together_move_the_code_as_they_will_on_replay() -> None:
    app, orders, store, may_go = new_app(), [], SlowStore(), threading.Event()

    @app.function(on="go")
    async def meets(ctx: Context) -> None:
        before = asyncio.create_task(_awaited(ctx.step.send_event("before", "sent")))
        await asyncio.to_thread(store.is_committing.wait, 10)
        orders.append((await asyncio.gather(meets_behind_gathers(ctx, may_go), before))[0])
        await ctx.step.sleep("pause", "1h")

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        link, queue = stage.advance(run_id), stage.engine()._journal._queue
        for size, then in ((2, may_go), (3, store.may_commit)):
            await until(lambda size=size: queue.qsize() == size, what="steps behind the one that is being committed")
            then.set()
        await soon(link)
        stage.pass_time("1h")
        assert (await stage.finish(run_id)).status == "completed"
    assert orders == [["left", "right"]] * 2


async def test_a_step_whose_branch_was_cancelled_while_it_was_committed_is_remembered() -> None:
    app, ran, attempts, store = new_app(), [], [], SlowStore()

    async def cancels_its_branch(ctx: Context) -> None:
        branch = asyncio.create_task(_awaited(ctx.step.run("inner", ran.append, 1)))
        attempts.append(1)
        if len(attempts) == 1:
            await asyncio.to_thread(store.is_committing.wait, 10)
            branch.cancel()
            asyncio.get_running_loop().call_later(0.05, store.may_commit.set)
        await branch

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("outer", tried_again_at_once, cancels_its_branch, ctx)

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        assert (await stage.finish(run_id)).status == "completed"
        assert (ran, [memo.path for memo in stage.steps(run_id)]) == ([1], ["outer/inner", "outer"])


async def tried_again_at_once(body: Callable[[Context], Awaitable[None]], ctx: Context) -> None:
    try:
        await body(ctx)
    except asyncio.CancelledError as error:
        raise RetryAfterError("once more", 0) from error


async def _awaited(step: Awaitable[Any]) -> Any:
    return await step


class SlowStore(LocalStore):
    """A store that takes its time for the first commit."""

    def __init__(self) -> None:
        super().__init__()
        self.is_committing, self.may_commit = threading.Event(), threading.Event()

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        self.is_committing.set()
        assert self.may_commit.wait(10)
        return super().commit(entries)
