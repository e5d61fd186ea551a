"""A message that is so long on its way that others have the slots which its run was picked with."""

from __future__ import annotations

from celeriac import Concurrency, Context
from engine_stage import Hold, Stage, new_app, soon


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


def _is_away(*_: object) -> bool:
    raise ConnectionError("Redis is away")


async def _nothing(ctx: Context) -> None: ...
