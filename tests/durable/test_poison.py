"""The quarantine of a worker: who may execute beside whom, and what a suspect does that may not."""

from __future__ import annotations

from collections import defaultdict

from celeriac import Context
from celeriac.platform.durable.poison import ALONE, SUSPECTS_AT_ONCE, Quarantine
from celeriac.platform.flow.gate import Queued
from engine_stage import Hold, Stage, new_app, soon
from waiting import until


def test_some_suspects_of_the_first_level_execute_together() -> None:
    quarantine = Quarantine()
    entered = [quarantine.try_enter(f"run_{number}", 1) for number in range(SUSPECTS_AT_ONCE + 1)]
    assert entered == [True] * SUSPECTS_AT_ONCE + [False]


def test_a_suspect_of_a_second_death_executes_alone() -> None:
    quarantine = Quarantine()
    assert quarantine.try_enter("first", 1)
    assert not quarantine.try_enter("second", ALONE)
    quarantine.leave("first")
    assert quarantine.try_enter("second", ALONE)
    assert not quarantine.try_enter("third", 1)


def test_who_waits_is_called_when_another_leaves() -> None:
    quarantine, waiting = Quarantine(), Queued(run_id="second", tenant_id="t", queue="runs", fence=3)
    quarantine.try_enter("first", ALONE)
    quarantine.wait(ALONE, waiting)
    assert quarantine.leave("somebody else") == []
    assert quarantine.leave("first") == [waiting]
    assert quarantine.leave("first") == []


def test_as_many_are_called_as_there_is_room_for() -> None:
    quarantine = Quarantine()
    quarantine.try_enter("first", ALONE)
    for number in range(SUSPECTS_AT_ONCE + 2):
        quarantine.wait(1, Queued(run_id=f"run_{number}", tenant_id="t", queue="runs", fence=2))
    assert len(quarantine.leave("first")) == SUSPECTS_AT_ONCE


def test_a_run_is_inside_once() -> None:
    quarantine = Quarantine()
    assert [quarantine.try_enter("first", 1), quarantine.try_enter("first", 1)] == [True, False]


async def test_a_suspect_that_may_not_execute_yet_stands_queued_so_that_no_death_counts_for_it() -> None:
    app, hold = new_app(), Hold("done")

    @app.function(on="go")
    async def work(ctx: Context) -> str:
        return str(await ctx.step.run("held", hold))

    async with Stage(app) as stage:
        first, second = stage.send("go")[0], stage.send("go")[0]
        await _die_together(stage, hold, [first, second])
        alone = stage.advance(first, "z")
        await hold.is_entered()
        await soon(stage.advance(second, "z"))
        assert stage.run(second).status == "queued"
        hold.let_go()
        await soon(alone)
        await until(lambda: stage.messages and stage.messages[-1].run_id == second, what="the second to be sent for")
        await stage.finish(second, "z")
        assert [stage.run(run).output for run in (first, second)] == ["done", "done"]


async def test_doubled_messages_of_a_suspect_that_waits_take_no_thread_and_let_no_other_in() -> None:
    app, holds = new_app(), defaultdict[str, Hold](Hold)

    @app.function(on="go")
    async def work(ctx: Context) -> None:
        await ctx.step.run("held", holds[ctx.run.id])

    async with Stage(app) as stage:
        first, second, third = (stage.send("go")[0] for _ in range(3))
        for run in (first, second, third):
            stage.store.all[run].suspicion = ALONE
        for alone, others in ((first, (second, second, third)), (second, (second, third, third))):
            link = stage.advance(alone)
            await holds[alone].is_entered()
            assert [await soon(stage.advance(other)) for other in others] == [False] * 3
            assert stage.run(third).status == "queued"
            holds[alone].let_go()
            await soon(link)


async def _die_together(stage: Stage, hold: Hold, runs: list[str]) -> None:
    """Let workers die with both runs until each has to be executed alone."""
    for number in range(ALONE):
        for run in runs:
            stage.advance(run, f"w{number}")
            await hold.is_entered()
        stage.kill(f"w{number}")
