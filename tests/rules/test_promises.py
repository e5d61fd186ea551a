"""Queued is a promise: a run whose message is lost before anybody claims it is sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from celeriac import Context
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.flow.gate import TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.tasks.reconcile import Reconcile
from engine_stage import Stage, new_app

DEAD = timedelta(days=1)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A function that ends at once."""
    app = new_app()

    @app.function(on="go")
    async def ends(ctx: Context) -> int:
        return 1

    async with Stage(app) as stage:
        yield stage


def look_of(stage: Stage) -> Reconcile:
    """Return the reconcile of the stage's engine."""
    beat: Any = SimpleNamespace(worker=SimpleNamespace(id="a"), judges_as_of=None)
    return Reconcile(stage.store, stage.dispatcher, stage.engine(), beat, dead_after=DEAD)


async def test_a_lost_message_is_sent_again_when_the_time_of_its_pick_is_over(stage: Stage) -> None:
    """Until then a worker may have it, and a second message would only be in the way."""
    [run_id] = stage.send("go")
    stage.messages.clear()
    look = look_of(stage)
    stage.pass_time("1m")
    assert (look.run_once(), stage.messages) == (0, [])
    stage.pass_time(DEAD / 2)
    assert (look.run_once(), [message.run_id for message in stage.messages]) == (1, [run_id])
    assert (await stage.finish(run_id)).status == "completed"


async def test_runs_that_a_lost_gate_knew_are_in_their_lanes_again(stage: Stage) -> None:
    """Five seconds are given to those who are about to bring a run to the gate themselves."""
    run_ids = [run_id for _ in range(3) for run_id in stage.send("go")]
    stage.messages.clear()
    gate = LocalGate(stage.clock, dead_after=DEAD)
    gate.attend("everybody", ["runs"], 100)
    stage.dispatcher = Dispatcher(gate, stage, lambda _: TenantLimits())
    look = look_of(stage)
    assert look.run_once() == 0
    stage.pass_time("6s")
    assert look.run_once() == 3
    assert sorted(message.run_id for message in stage.messages) == sorted(run_ids)
