"""A message that is so long on its way that others have the slots which its run was picked with."""

from __future__ import annotations

from celeriac import Concurrency, Context
from engine_stage import Hold, Stage, new_app, soon


async def test_a_run_whose_slots_others_have_waits_for_them_in_its_lane() -> None:
    app, hold, bodies = new_app(), Hold(), list[str]()

    @app.function("alone", on="go", concurrency=Concurrency(1))
    async def alone(ctx: Context) -> None:
        bodies.append(ctx.run.id)
        await ctx.step.run("stay", hold)

    async with Stage(app) as stage:
        [late] = stage.send("go")
        stage.pass_time("37h")  # one and a half dead times and an hour
        stage.dispatcher.gate.attend("everybody", ["runs"], 100)
        [second] = stage.send("go")
        assert [message.run_id for message in stage.messages] == [late, second]
        link = stage.advance(second)
        await hold.is_entered()
        assert not await soon(stage.advance(late))
        assert (stage.run(late).status, stage.run(late).started_at, bodies) == ("queued", None, [second])
        stage.messages.clear()
        hold.let_go()
        await soon(link)
        assert [message.run_id for message in stage.messages] == [late]
        assert (await stage.finish(late)).status == "completed"
        assert (bodies.count(late), stage.run(late).links) == (1, 1)


async def test_a_late_message_executes_where_its_slots_are_free() -> None:
    app = new_app()
    app.function("alone", on="go", concurrency=Concurrency(1))(_nothing)
    async with Stage(app) as stage:
        [late] = stage.send("go")
        stage.pass_time("37h")
        stage.dispatcher.gate.attend("everybody", ["runs"], 100)
        assert (await stage.finish(late)).status == "completed"
        stage.messages.clear()
        [second] = stage.send("go")
        assert [message.run_id for message in stage.messages] == [second], "its slot was given back"


async def test_a_late_message_executes_while_the_gate_does_not_answer() -> None:
    app = new_app()
    app.function("alone", on="go", concurrency=Concurrency(1))(_nothing)
    async with Stage(app) as stage:
        [late] = stage.send("go")
        stage.pass_time("1h")
        stage.dispatcher.gate.started = _is_away  # type: ignore[method-assign]
        assert (await stage.finish(late)).status == "completed"


def _is_away(*_: object) -> bool:
    raise ConnectionError("Redis is away")


async def _nothing(ctx: Context) -> None: ...
