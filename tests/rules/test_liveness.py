"""A worker goes on for as long as its row stands, however late it is, and judges nobody after a gap of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from celeriac import Context
from celeriac.clock import SyncedClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.store import Renewal
from celeriac.platform.run import Run
from celeriac.platform.store.local_store import LocalStore
from celeriac.tasks.heartbeat import Heartbeat
from celeriac.tasks.host import this_worker
from engine_stage import TENANT, Hold, Stage, new_app, soon
from waiting import until

DEAD = timedelta(seconds=0.4)


class Outages(LocalStore):
    """A store that does not answer while it is away."""

    is_away = False

    def renew(self, worker_id: str) -> Renewal:
        if self.is_away:
            raise StoreUnavailable("gone")
        return super().renew(worker_id)


class Bench(Stage):
    """The worker `a` with its heartbeat, beside others; each run stands in the body of its one step until it may go."""

    def __init__(self) -> None:
        app, self.away = new_app(), Outages()
        app.function(on="go")(self.works)
        super().__init__(app, store=self.away)
        self.hold, self.ran = Hold("done"), 0

    async def works(self, ctx: Context) -> None:
        """Be the function."""
        await ctx.step.run("work", self.body)

    async def body(self) -> str:
        """Count, and stand still."""
        self.ran += 1
        await self.hold()
        return "done"

    def join(self) -> Heartbeat:
        """Register the worker, just now."""
        return Heartbeat(
            self.store,
            self.dispatcher,
            self.engine(),
            SyncedClock(),
            describe=lambda: this_worker(queues=("runs",), capacity=1, version=""),
            dead_after=DEAD,
        )

    async def begin(self) -> tuple[str, asyncio.Future[bool]]:
        """Start a run; return when its body stands there."""
        [run_id] = self.send("go")
        link = self.advance(run_id)
        await self.hold.is_entered()
        return run_id, link

    async def fall_silent(self, heart: Heartbeat) -> None:
        """Keep the worker from the database for longer than the dead time."""
        self.away.is_away = True
        await until(lambda: self._is_silent(heart), what="the dead time to pass")
        self.away.is_away = False

    def _is_silent(self, heart: Heartbeat) -> bool:
        with pytest.raises(StoreUnavailable):
            heart.run_once()
        return self.engine().is_silent()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """The worker and its store."""
    async with Bench() as bench:
        yield bench


async def beating(heart: Heartbeat) -> bool:
    """Beat once; return whether it may judge now."""
    await asyncio.to_thread(heart.run_once)
    return heart.judges_as_of is not None


async def ended(bench: Bench, run_id: str, link: asyncio.Future[bool]) -> Run:
    """Let all bodies go and return the run when its link has ended."""
    bench.hold.let_go()
    await soon(link)
    return bench.run(run_id)


async def test_a_worker_that_has_just_joined_judges_nobody_for_the_whole_dead_time(bench: Bench) -> None:
    heart = bench.join()
    assert await beating(heart) is False
    await until(lambda: beating(heart), what="the dead time to pass")


async def test_after_an_outage_of_the_database_nobody_is_judged_for_the_whole_dead_time(bench: Bench) -> None:
    """Else all workers look silent when it is back, and the first one to look fences the fleet."""
    heart = bench.join()
    await until(lambda: beating(heart), what="the dead time to pass")
    bench.away.is_away = True
    with pytest.raises(StoreUnavailable):
        heart.run_once()
    bench.away.is_away = False
    assert await beating(heart) is False
    await until(lambda: beating(heart), what="the dead time to pass once more")


async def test_after_a_renewal_that_came_late_nobody_is_judged_for_the_whole_dead_time(bench: Bench) -> None:
    """A database that hangs refuses nothing: what has kept this worker waiting has kept the others as well."""
    heart = bench.join()
    await until(lambda: beating(heart), what="the dead time to pass")
    await until(lambda: heart.judges_as_of is None, what="half of the dead time to pass without a renewal")
    assert await beating(heart) is False
    await until(lambda: beating(heart), what="the dead time to pass once more")


async def test_a_worker_whose_row_stands_goes_on_after_any_outage(bench: Bench) -> None:
    """Under its id, with its runs; their bodies have noticed nothing."""
    heart = bench.join()
    before = heart.worker.id
    run_id, link = await bench.begin()
    await bench.fall_silent(heart)
    assert await beating(heart) is False
    assert (heart.worker.id, bench.engine().worker_id) == (before, before)
    assert (await ended(bench, run_id, link)).status == "completed"
    assert (bench.ran, bench.store.all[run_id].fence) == (1, 1)


async def test_a_worker_that_is_silent_claims_nothing_until_it_is_heard(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Others may have judged it: who claims then holds up the run for a dead time more."""
    heart = bench.join()
    await bench.fall_silent(heart)
    [run_id] = bench.send("go")
    with caplog.at_level(logging.WARNING):
        link = bench.advance(run_id)
        await until(lambda: "1 to claim" in caplog.text, what="the journal to wait")
    assert bench.run(run_id).status == "queued"
    heart.run_once()
    assert (await ended(bench, run_id, link)).status == "completed"


async def test_a_worker_that_was_judged_joins_under_a_new_id(bench: Bench) -> None:
    heart = bench.join()
    before = heart.worker.id
    bench.kill(before)
    heart.run_once()
    assert heart.worker.id != before
    assert bench.engine().worker_id == heart.worker.id
    assert bench.store.renew(heart.worker.id).is_alive


async def test_a_worker_that_was_cut_off_alone_lets_go_as_soon_as_it_hears_of_it(bench: Bench) -> None:
    """Another has its run; the body that stands here is ended with the first renewal that comes through."""
    heart = bench.join()
    run_id, link = await bench.begin()
    await bench.fall_silent(heart)
    bench.kill(heart.worker.id)
    other = bench.advance(run_id, "b")
    await bench.hold.is_entered()
    heart.run_once()
    assert await soon(link) is False
    assert [run.fence for run in bench.engine("b").executing()] == [2]
    assert (await ended(bench, run_id, other)).status == "completed"


async def test_what_a_worker_that_was_cut_off_alone_has_done_is_refused(bench: Bench) -> None:
    """Also where its body ends before it hears of anything."""
    heart = bench.join()
    run_id, link = await bench.begin()
    await bench.fall_silent(heart)
    bench.kill(heart.worker.id)
    await ended(bench, run_id, link)
    assert (bench.run(run_id).status, bench.steps(run_id)) == ("queued", [])
    assert (await bench.finish(run_id, "b")).status == "completed"


async def test_what_a_judged_worker_claimed_last_is_queued_when_it_joins_anew(bench: Bench) -> None:
    """Its claim and the judgement have crossed: nobody has the run, and no death is counted for it."""
    heart = bench.join()
    bench.kill(heart.worker.id)
    run_id, link = await bench.begin()
    heart.run_once()
    assert await soon(link) is False
    assert (bench.run(run_id).status, bench.store.all[run_id].suspicion) == ("queued", 0)


async def test_a_wish_to_cancel_of_the_time_of_silence_comes_with_the_late_renewal(bench: Bench) -> None:
    heart = bench.join()
    run_id, link = await bench.begin()
    await bench.fall_silent(heart)
    bench.store.cancel(TENANT, run_id)
    assert bench.run(run_id).status == "running"
    heart.run_once()
    assert await soon(link) is False
    assert bench.run(run_id).status == "cancelled"
