"""Events out: sent in the transaction of their step, once, whatever breaks in between."""

from collections.abc import Sequence

from pydantic import BaseModel

from celeriac import Context, Event
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.store import Ingested
from celeriac.platform.store.local_store import LocalStore
from celeriac.testing import Harness
from engine_stage import Hold, Stage, new_app, soon


class Forgetful(LocalStore):
    """A store that cannot match what a step sends: only reconcile, which asks for all that is pending, can."""

    def match_pending(self, event_ids: Sequence[str] | None = None, *, most: int = 100) -> Ingested:
        if event_ids is not None:
            raise StoreUnavailable("gone")
        return super().match_pending(most=most)


async def test_an_event_whose_sender_crashed_before_the_match_still_starts_its_run_once() -> None:
    app, heard = new_app(), []

    @app.function(on="go")
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", "heard", {"n": 1})
        await ctx.step.sleep("nap", "1h")

    @app.function(on="heard")
    async def hears(ctx: Context, n: int) -> None:
        heard.append(n)

    async with Stage(app, store=Forgetful()) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        for _ in range(2):
            for queued in stage.store.match_pending().queued:
                await stage.finish(queued.run_id)
        assert heard == [1]


async def test_a_send_that_was_committed_by_a_dead_worker_is_not_sent_again() -> None:
    app, hold = new_app(), Hold()

    @app.function(on="go")
    async def sends(ctx: Context) -> list[str]:
        ids = await ctx.step.send_event("tell", [Event("heard"), Event("heard")])
        await ctx.step.run("hang", hold)
        return ids

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        first = stage.advance(run_id, "a")
        await hold.is_entered()
        stage.kill("a")
        hold.let_go()
        run = await stage.finish(run_id, "b")
        await soon(first)
        assert sorted(run.output) == sorted(id for id, one in stage.store.events.items() if one.event.name == "heard")


async def test_the_platforms_own_events_cannot_be_sent() -> None:
    app = new_app()

    @app.function(on="go", retries=0)
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", "celeriac/run.finished")

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.error is not None and "platform's own" in run.error["message"]


class Opened(BaseModel):
    ticket: int


async def test_an_event_with_a_schema_arrives_as_its_model() -> None:
    app = new_app()
    app.event("opened", Opened)

    @app.function(on="opened")
    async def reads(ctx: Context, ticket: int) -> bool:
        return isinstance(ctx.event.data, Opened) and ctx.event.data.ticket == ticket

    async with Harness(app) as h:
        [run] = await h.send("opened", {"ticket": 3})
        assert run.output is True


async def test_an_event_that_a_step_sent_wakes_a_run_that_waits_for_it() -> None:
    app = new_app()

    @app.function(on="go")
    async def waits(ctx: Context, id: int) -> bool:
        return await ctx.step.wait_for_event("w", "tick", timeout="1h", match="data.id") is not None

    @app.function(on="start")
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", "tick", {"id": 2})

    async with Harness(app) as h:
        [one], [two] = await h.send("go", {"id": 1}), await h.send("go", {"id": 2})
        await h.send("start")
        assert (h.run(one.id).status, h.run(two.id).output) == ("parked", True)


async def test_a_step_sends_only_what_ingest_would_take() -> None:
    app = new_app()

    @app.function(on="go")
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", "no good name\n", [1, 2])

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.error is not None and run.error["code"] == "invalid_event"
