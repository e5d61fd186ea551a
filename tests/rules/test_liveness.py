"""Who may judge others dead: only a worker that has been heard itself, without a gap, for the whole dead time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from celeriac.clock import SyncedClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.store import Renewal
from celeriac.platform.store.local_store import LocalStore
from celeriac.tasks.heartbeat import Heartbeat
from celeriac.tasks.host import this_worker
from engine_stage import Stage, new_app
from waiting import until

DEAD = timedelta(seconds=0.4)


class Outages(LocalStore):
    """A store that does not answer while it is away."""

    is_away = False

    def renew(self, worker_id: str) -> Renewal:
        if self.is_away:
            raise StoreUnavailable("gone")
        return super().renew(worker_id)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """An engine on such a store."""
    async with Stage(new_app(), store=Outages()) as stage:
        yield stage


def heart_of(stage: Stage) -> Heartbeat:
    """Return the heartbeat of the stage's engine, registered just now."""
    return Heartbeat(
        stage.store,
        stage.dispatcher,
        stage.engine(),
        SyncedClock(),
        describe=lambda: this_worker(queues=("runs",), capacity=1, version=""),
        dead_after=DEAD,
    )


async def beating(heart: Heartbeat) -> bool:
    """Beat once; return whether it may judge now."""
    await asyncio.to_thread(heart.run_once)
    return heart.may_judge


async def test_a_worker_that_has_just_joined_judges_nobody_for_the_whole_dead_time(stage: Stage) -> None:
    heart = heart_of(stage)
    assert await beating(heart) is False
    await until(lambda: beating(heart), what="the dead time to pass")


async def test_after_an_outage_of_the_database_nobody_is_judged_for_the_whole_dead_time(stage: Stage) -> None:
    """Else all workers look silent when it is back, and the first one to look fences the fleet."""
    heart = heart_of(stage)
    await until(lambda: beating(heart), what="the dead time to pass")
    assert isinstance(stage.store, Outages)
    stage.store.is_away = True
    with pytest.raises(StoreUnavailable):
        heart.run_once()
    stage.store.is_away = False
    assert await beating(heart) is False
    await until(lambda: beating(heart), what="the dead time to pass once more")


async def test_a_worker_that_was_judged_joins_under_a_new_id(stage: Stage) -> None:
    heart = heart_of(stage)
    before = heart.worker.id
    stage.store.bury([before])
    heart.run_once()
    assert heart.worker.id != before
    assert stage.engine().worker_id == heart.worker.id
    assert stage.store.renew(heart.worker.id).is_alive
