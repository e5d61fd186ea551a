"""A message that is so long on its way that others have the slots which its run was picked with."""

from __future__ import annotations

import asyncio
import threading

from celeriac import Concurrency, Context
from celeriac.platform.durable.store import Link
from celeriac.platform.flow.gate import Queued
from engine_stage import Hold, Stage, new_app, soon
from waiting import until


def late(stage: Stage) -> str:
    """Return a run whose message is on its way since longer than its slots last: one and a half dead times."""
    [run_id] = stage.send("go")
    stage.pass_time("37h")
    stage.dispatcher.gate.attend("everybody", ["runs"], 100)
    stage.messages.clear()
    return run_id


async def test_a_run_whose_slots_others_have_waits_for_them_in_its_lane() -> None:
    app, hold = new_app(), Hold()

    @app.function("alone", on="go", concurrency=Concurrency(1))
    async def alone(ctx: Context) -> None:
        await ctx.step.run("stay", hold)

    async with Stage(app) as stage:
        first = late(stage)
        [second] = stage.send("go")
        link = stage.advance(second)
        await hold.is_entered()
        assert not await soon(stage.advance(first))
        assert (stage.run(first).status, stage.run(first).started_at) == ("queued", None)
        stage.messages.clear()
        hold.let_go()
        await soon(link)
        assert [message.run_id for message in stage.messages] == [first]
        ended = await stage.finish(first)
        assert (ended.status, ended.links) == ("completed", 1)


async def test_a_late_message_executes_where_its_slots_are_free() -> None:
    app = new_app()
    app.function("alone", on="go", concurrency=Concurrency(1))(_nothing)
    async with Stage(app) as stage:
        assert (await stage.finish(late(stage))).status == "completed"
        [second] = stage.send("go")
        assert [message.run_id for message in stage.messages] == [second], "its slot was given back"


async def test_a_late_message_executes_while_the_gate_does_not_answer() -> None:
    app = new_app()
    app.function("alone", on="go", concurrency=Concurrency(1))(_nothing)
    async with Stage(app) as stage:
        run_id = late(stage)
        stage.dispatcher.gate.started = _is_away  # type: ignore[method-assign]
        assert (await stage.finish(run_id)).status == "completed"


async def test_a_link_holds_no_slots_while_the_gate_is_asked_for_them() -> None:
    """A heartbeat in that moment would take them, whoever has them."""
    app = new_app()
    app.function("alone", on="go", concurrency=Concurrency(1))(_nothing)
    async with Stage(app) as stage:
        run_id, engine = late(stage), stage.engine()
        is_asked, may_answer = threading.Event(), threading.Event()

        def asked(run: Queued) -> bool:
            is_asked.set()
            return may_answer.wait(10)

        stage.dispatcher.gate.started = asked  # type: ignore[method-assign]
        link = stage.advance(run_id)
        await until(is_asked.is_set, what="the gate to be asked")
        assert ([run.run_id for run in engine.executing()], engine.holding()) == ([run_id], [])
        may_answer.set()
        await soon(link)


async def test_a_message_that_claims_nothing_gives_back_what_it_was_picked_with() -> None:
    """It was picked once more for a run that has ended meanwhile."""
    app = new_app()
    app.function("alone", on="go", concurrency=Concurrency(1))(_nothing)
    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        [message] = stage.messages
        await stage.finish(run_id)
        stage.dispatcher.dispatch([message])
        assert [one.run_id for one in stage.messages] == [run_id, run_id]
        assert not await asyncio.to_thread(stage.engine().advance, run_id, Link(id="l", root_id="l", fence=1))
        stage.messages.clear()
        [second] = stage.send("go")
        assert [one.run_id for one in stage.messages] == [second]


async def test_a_doubled_message_takes_no_slots_from_the_link_that_executes() -> None:
    app, hold = new_app(), Hold()

    @app.function("alone", on="go", concurrency=Concurrency(1))
    async def alone(ctx: Context) -> None:
        await ctx.step.run("stay", hold)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await hold.is_entered()
        assert not await asyncio.to_thread(stage.engine().advance, run_id, Link(id="l", root_id="l", fence=1))
        stage.messages.clear()
        stage.send("go")
        assert stage.messages == []
        hold.let_go()
        await soon(link)


def _is_away(*_: object) -> bool:
    raise ConnectionError("Redis is away")


async def _nothing(ctx: Context) -> None: ...
