"""Starting in the engine: what debounce, batch, deadlines, future events and cancelling events mean for user code."""

from __future__ import annotations

from datetime import timedelta

from celeriac import Batch, Context, Cron, Debounce, Event, Trigger
from celeriac.testing import Harness
from engine_stage import TENANT, Hold, Stage, new_app, soon

DAY = timedelta(days=1)


async def test_a_burst_of_events_is_one_run_with_the_last_of_them() -> None:
    app = new_app()

    @app.function(on="typed", debounce=Debounce("10s", key="event.data.user"))
    async def save(ctx: Context, text: str) -> str:
        return text

    async with Harness(app) as h:
        for text in ("H", "He", "Hello"):
            await h.send("typed", {"user": "a", "text": text})
            await h.advance("9s")
        [run] = h.runs()
        assert run.status == "parked"
        await h.advance("1s")
        assert h.run(run.id).output == "Hello"


async def test_a_batch_starts_when_it_is_full_or_its_time_is_up() -> None:
    app = new_app()

    @app.function(on="seen", batch=Batch(3, timeout="1m"))
    async def count(ctx: Context) -> list[int]:
        return [event.data["n"] for event in ctx.events]

    async with Harness(app) as h:
        await h.send([Event("seen", {"n": n}) for n in range(4)])
        assert [run.output for run in h.runs()] == [[0, 1, 2], None]
        await h.advance("1m")
        assert [run.output for run in h.runs()] == [[0, 1, 2], [3]]


async def test_an_event_of_the_future_starts_its_run_then() -> None:
    app = new_app()

    @app.function(on="planned")
    async def work(ctx: Context) -> bool:
        return ctx.run.started_at == ctx.event.ts

    async with Harness(app) as h:
        [run] = await h.send(Event("planned", ts=h.clock.now() + DAY))
        await h.advance("23h59m")
        assert h.run(run.id).status == "parked"
        await h.advance("1m")
        assert h.run(run.id).output is True


async def test_an_event_cancels_the_run_of_its_order() -> None:
    app = new_app()

    @app.function(on="order", cancel_on=Trigger("order.withdrawn", match="data.id"))
    async def ship(ctx: Context, id: str) -> str:
        await ctx.step.sleep("packing", "1d")
        return "shipped"

    async with Harness(app) as h:
        [one], [two] = await h.send("order", {"id": "1"}), await h.send("order", {"id": "2"})
        await h.send("order.withdrawn", {"id": "1"})
        await h.advance("1d")
        assert (h.run(one.id).status, h.run(two.id).output) == ("cancelled", "shipped")


async def test_a_run_that_takes_too_long_is_cancelled() -> None:
    app = new_app()

    @app.function(on="go", timeout="1h")
    async def slow(ctx: Context) -> None:
        await ctx.step.sleep("long", "2h")

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.advance("59m")
        assert h.run(run.id).status == "parked"
        await h.advance("1m")
        assert (h.run(run.id).status, h.run(run.id).reason) == ("cancelled", "timeout")


async def test_a_step_that_executes_past_the_time_of_its_run_is_aborted() -> None:
    app, hold = new_app(), Hold()

    @app.function(on="go", timeout="1h")
    async def slow(ctx: Context) -> None:
        await ctx.step.run("long", hold)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await hold.is_entered()
        stage.pass_time("1h")
        assert [run.status for run in stage.store.expire()] == ["running"]
        stage.engine().cancel(stage.store.renew("a").cancelled)
        assert await soon(link) is False
        assert (stage.run(run_id).status, stage.run(run_id).reason) == ("cancelled", "timeout")


async def test_a_run_that_ends_before_its_worker_hears_of_the_time_has_ended() -> None:
    app, hold = new_app(), Hold("done")

    @app.function(on="go", timeout="1h")
    async def slow(ctx: Context) -> str:
        return await ctx.step.run("long", hold)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await hold.is_entered()
        stage.pass_time("1h")
        stage.store.expire()
        hold.let_go()
        await soon(link)
        assert stage.run(run_id).status == "completed"


async def test_a_cron_starts_a_run_at_each_of_its_times() -> None:
    app = new_app()

    @app.function(on=Cron("0 6 * * *", tz="Europe/Paris"))
    async def report(ctx: Context) -> str:
        return f"{ctx.event.name} {ctx.event.data} {ctx.event.ts:%d %H:%M}"

    async with Harness(app) as h:
        await h.advance("2d")
        assert [run.output for run in h.runs()] == ["celeriac/cron {} 01 05:00", "celeriac/cron {} 02 05:00"]
        assert {run.tenant_id for run in h.runs()} == {TENANT}


async def test_one_event_starts_a_function_once_however_many_triggers_fit() -> None:
    app = new_app()

    @app.function(on=["shop/*", Trigger("shop/order", if_="event.data.n > 1"), Cron("0 6 * * *")])
    async def work(ctx: Context) -> None:
        return None

    async with Harness(app) as h:
        assert len(await h.send("shop/order", {"n": 2})) == 1


async def test_a_second_event_with_the_same_key_is_a_skipped_run() -> None:
    app = new_app()

    @app.function(on="pay", idempotency="event.data.id")
    async def pay(ctx: Context, id: str) -> str:
        return id

    async with Harness(app) as h:
        await h.send("pay", {"id": "1"})
        [again] = await h.send("pay", {"id": "1"})
        assert (again.status, again.reason) == ("skipped", "idempotency")
        await h.advance("1d")
        [later] = await h.send("pay", {"id": "1"})
        assert later.output == "1"
