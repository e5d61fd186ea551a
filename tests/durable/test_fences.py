"""Two engines, one run: only one may advance it, and what the other one still does leaves no trace."""

import asyncio
from typing import Any

from celeriac import Context, Event
from celeriac.platform.durable.store import Claim
from celeriac.platform.store.local_store import LocalStore
from engine_stage import TENANT, Hold, Stage, new_app, soon


async def test_a_doubled_message_returns_at_once_and_sends_no_next_link() -> None:
    app, hold = new_app(), Hold()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("work", hold)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        stage.messages.clear()
        first = stage.advance(run_id, "a")
        await hold.is_entered()
        assert await soon(stage.advance(run_id, "b")) is False
        hold.let_go()
        await soon(first)
        assert (stage.messages, stage.run(run_id).links, len(stage.steps(run_id))) == ([], 1, 1)


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
    app, late, fresh = new_app(), Hold("late"), Hold("fresh")

    @app.function(on="go")
    async def works(ctx: Context) -> str:
        return str(await ctx.step.run("work", late if ctx.run.links == 1 else fresh))

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        old = stage.advance(run_id, "a")
        await late.is_entered()
        stage.kill("a")
        new = stage.advance(run_id, "b")
        await fresh.is_entered()
        late.let_go()
        assert await soon(old) is False
        assert (stage.steps(run_id), stage.run(run_id).status) == ([], "running")
        fresh.let_go()
        await soon(new)
        assert stage.run(run_id).output == "fresh"


async def test_a_worker_that_lost_its_run_neither_fails_nor_retries_it() -> None:
    app, hold, seen = new_app(), Hold(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        try:
            await ctx.step.run("work", hold)
        except Exception as error:  # noqa: BLE001  # whatever may come
            seen.append(error)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        old = stage.advance(run_id, "a")
        await hold.is_entered()
        stage.kill("a")
        hold.let_go()
        await soon(old)
        assert (stage.run(run_id).status, seen, stage.store.all[run_id].attempts) == ("queued", [], [])


async def test_a_late_link_does_not_hide_the_one_that_has_its_run_in_the_same_worker() -> None:
    app, late, fresh = new_app(), Hold(), Hold()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("work", late if ctx.run.links == 1 else fresh)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        old = stage.advance(run_id)
        await late.is_entered()
        stage.kill("a")
        new = stage.advance(run_id)
        await fresh.is_entered()
        late.let_go()
        await soon(old)
        assert [(run.run_id, run.fence) for run in stage.engine().executing()] == [(run_id, 2)]
        fresh.let_go()
        await soon(new)


async def test_a_worker_that_lets_go_of_its_runs_ends_its_late_links_as_well() -> None:
    app, late, fresh = new_app(), Hold(), Hold()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("work", late if ctx.run.links == 1 else fresh)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        old = stage.advance(run_id)
        await late.is_entered()
        stage.kill("a")
        new = stage.advance(run_id)
        await fresh.is_entered()
        stage.engine().abandon()
        assert await soon(asyncio.gather(old, new)) == [False, False]


async def test_an_engine_that_lets_go_of_its_runs_leaves_them_as_they_are() -> None:
    app, hold = new_app(), Hold()

    @app.function(on="go")
    async def hangs(ctx: Context) -> None:
        await ctx.step.run("hang", hold)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await hold.is_entered()
        assert [(run.run_id, run.fence) for run in stage.engine().executing()] == [(run_id, 1)]
        stage.engine().abandon()
        assert await soon(link) is False
        assert (stage.run(run_id).status, stage.steps(run_id), stage.engine().executing()) == ("running", [], [])


class BusyInstant(LocalStore):
    """A store in which something happens just before a run parks."""

    meanwhile: Any = None

    def park(self, claim: Claim, *, reason: str | None = None) -> bool:
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return super().park(claim, reason=reason)


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
