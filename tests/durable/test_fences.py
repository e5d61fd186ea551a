"""Two engines, one run: only one may advance it, and what the other one still does leaves no trace."""

import asyncio
from typing import Any

from engine_stage import TENANT, Stage, new_app, soon

from celeriac import Context, Event
from celeriac.platform.durable.store import Claim
from celeriac.platform.store.local_store import LocalStore


async def test_a_doubled_message_returns_at_once_and_sends_no_next_link() -> None:
    app, entered, gate, ran = new_app(), asyncio.Event(), asyncio.Event(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        async def body() -> None:
            ran.append(1)
            entered.set()
            await gate.wait()

        await ctx.step.run("work", body)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        stage.messages.clear()
        first = stage.advance(run_id, "a")
        await soon(entered.wait())
        assert await soon(stage.advance(run_id, "b")) is False
        gate.set()
        await soon(first)
        assert (stage.messages, stage.run(run_id).links, len(ran)) == ([], 1, 1)


async def test_two_processes_that_receive_one_message_at_once_pay_one_body() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("work", ran.append, 1)

    async with Stage(app) as stage:
        for _ in range(20):
            [run_id] = stage.send("go")
            await soon(asyncio.gather(stage.advance(run_id, "a"), stage.advance(run_id, "b")))
            assert (stage.run(run_id).status, stage.run(run_id).links) == ("completed", 1)
        assert len(ran) == 20


async def test_a_message_of_a_run_that_has_ended_does_nothing() -> None:
    app = new_app()

    @app.function(on="go")
    async def ends(ctx: Context) -> int:
        return 1

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        await stage.finish(run_id)
        assert await soon(stage.advance(run_id)) is False
        assert stage.run(run_id).links == 1


async def test_the_late_commit_of_a_worker_that_was_judged_dead_is_dropped() -> None:
    app, gates, results = new_app(), [asyncio.Event(), asyncio.Event()], iter(["late", "fresh"])
    entered = asyncio.Semaphore(0)

    @app.function(on="go")
    async def works(ctx: Context) -> str:
        async def body() -> str:
            mine, gate = next(results), gates.pop()
            entered.release()
            await gate.wait()
            return mine

        return await ctx.step.run("work", body)

    late, fresh = gates[1], gates[0]
    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        old = stage.advance(run_id, "a")
        await soon(entered.acquire())
        stage.kill("a")
        new = stage.advance(run_id, "b")
        await soon(entered.acquire())
        late.set()
        assert await soon(old) is False
        assert stage.steps(run_id) == [] and stage.run(run_id).status == "running"
        fresh.set()
        await soon(new)
        assert stage.run(run_id).output == "fresh"


async def test_a_worker_that_lost_its_run_neither_fails_nor_retries_it() -> None:
    app, entered, gate, seen = new_app(), asyncio.Event(), asyncio.Event(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        async def body() -> None:
            entered.set()
            await gate.wait()

        try:
            await ctx.step.run("work", body)
        except Exception as error:
            seen.append(error)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        old = stage.advance(run_id, "a")
        await soon(entered.wait())
        stage.kill("a")
        gate.set()
        await soon(old)
        assert (stage.run(run_id).status, seen, stage.store.all[run_id].attempts) == ("queued", [], [])


async def test_an_engine_that_lets_go_of_its_runs_leaves_them_as_they_are() -> None:
    app, entered = new_app(), asyncio.Event()

    @app.function(on="go")
    async def hangs(ctx: Context) -> None:
        async def body() -> None:
            entered.set()
            await asyncio.Event().wait()

        await ctx.step.run("hang", body)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await soon(entered.wait())
        assert stage.engine().slots() == [(run_id, 1)]
        stage.engine().abandon()
        assert await soon(link) is False
        assert (stage.run(run_id).status, stage.steps(run_id), stage.engine().slots()) == ("running", [], [])


class BusyInstant(LocalStore):
    """A store in which something happens just before a run parks."""

    meanwhile: Any = None

    def park(self, claim: Claim) -> bool:
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return super().park(claim)


async def test_a_wake_in_the_instant_of_parking_is_not_lost() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> Any:
        event = await ctx.step.wait_for_event("answer", "answered", timeout="1h")
        return None if event is None else event.data

    store = BusyInstant()
    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        store.meanwhile = lambda: store.ingest(TENANT, [Event("answered", {"n": 7})])
        await soon(stage.advance(run_id))
        assert (stage.run(run_id).status, stage.run(run_id).output, stage.run(run_id).links) == (
            "completed",
            {"n": 7},
            1,
        )


async def test_a_cancel_in_the_instant_of_parking_is_not_lost() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context) -> None:
        await ctx.step.sleep("long", "10d")

    store = BusyInstant()
    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        store.meanwhile = lambda: store.cancel(TENANT, run_id)
        await soon(stage.advance(run_id))
        assert stage.run(run_id).status == "cancelled"


async def test_a_run_of_a_function_that_this_worker_lacks_waits_for_one_that_has_it() -> None:
    old, new = new_app(), new_app()

    @new.function(on="go")
    async def added(ctx: Context) -> str:
        return "done"

    async with Stage(new) as stage, Stage(old, store=stage.store, clock=stage.clock) as behind:
        stage.store.declare(new.name, new.declarations(), [])
        [run_id] = stage.send("go")
        assert await soon(behind.advance(run_id, "behind")) is False
        assert stage.run(run_id).status == "queued"
        assert (await stage.finish(run_id)).output == "done"
