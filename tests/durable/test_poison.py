"""The quarantine of a worker: who may execute beside whom, and what a suspect does that may not."""

from __future__ import annotations

import asyncio
import threading

from celeriac import Context
from celeriac.platform.durable.poison import ALONE, SUSPECTS_AT_ONCE, Quarantine
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


def test_who_waits_enters_when_another_leaves() -> None:
    quarantine = Quarantine()
    quarantine.try_enter("first", ALONE)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(quarantine.enter("second", ALONE, lambda: False)))
    waiting.start()
    quarantine.leave("first")
    waiting.join(10)
    assert answers == [True]


def test_who_waits_gives_up_when_the_worker_drains() -> None:
    quarantine = Quarantine()
    quarantine.try_enter("first", ALONE)
    assert not quarantine.enter("second", ALONE, lambda: True)


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
        claims, waits = stage.run(second).links, stage.advance(second, "z")
        await until(lambda: stage.run(second).links > claims, what="the second to be claimed")
        await until(lambda: stage.run(second).status == "queued", 3, "the second to stand queued")
        hold.let_go()
        await soon(asyncio.gather(alone, waits))
        assert [stage.run(run).output for run in (first, second)] == ["done", "done"]


async def _die_together(stage: Stage, hold: Hold, runs: list[str]) -> None:
    """Let workers die with both runs until each has to be executed alone."""
    for number in range(ALONE):
        for run in runs:
            stage.advance(run, f"w{number}")
            await hold.is_entered()
        stage.kill(f"w{number}")
