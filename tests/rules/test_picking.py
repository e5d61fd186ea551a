"""Picking: whoever makes room or brings a run lets the gate pick, so that nobody waits for the next tick."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from celeriac import Context
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.flow.gate import TenantLimits
from celeriac.tasks.timers import Timers
from engine_stage import Stage, new_app

#: one link at a time, and tokens for three starts, then one each ten seconds
LIMITS = TenantLimits(running=1, starts_per_second=0.1, starts_burst=3)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A function that ends at once, for a tenant whose runs go one by one."""
    app = new_app()

    @app.function(on="go")
    async def ends(ctx: Context) -> int:
        return 1

    async with Stage(app) as stage:
        stage.dispatcher = Dispatcher(stage.dispatcher.gate, stage, lambda _: LIMITS)
        yield stage


def sent(stage: Stage) -> list[str]:
    """Return the runs whose messages were sent, in order."""
    return [message.run_id for message in stage.messages]


async def test_ingest_sends_what_has_room(stage: Stage) -> None:
    first, _ = stage.send("go"), stage.send("go")
    assert sent(stage) == first


async def test_a_link_that_ends_sends_the_next_run(stage: Stage) -> None:
    [first], [second] = stage.send("go"), stage.send("go")
    await stage.finish(first)
    assert sent(stage) == [first, second]


async def test_the_tick_sends_what_time_alone_allows(stage: Stage) -> None:
    runs = [run_id for _ in range(4) for run_id in stage.send("go")]
    for run_id in runs[:3]:
        await stage.finish(run_id)
    assert sent(stage) == runs[:3]
    stage.pass_time("10s")
    assert Timers(stage.store, stage.dispatcher, ("runs",)).run_once() == 1
    assert sent(stage) == runs
