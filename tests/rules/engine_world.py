"""The world of the engine's machine: some workers, a broker, a gate and a clock, all moved by hand.

Engines, gate, heartbeat, timers and reconcile are the real ones; only the processes and the broker are played here. A
body stands still until the world lets it go. After each action the world settles: whatever can go on has gone on, so
that what happens depends on the actions alone. It writes down what must never have happened (`wrongs`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, Self, cast

from celeriac import Context, Event
from celeriac.clock import ManualClock, SyncedClock
from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.durable.cancelling import cancel
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.intake import Intake
from celeriac.platform.durable.kernel import DurableKernel
from celeriac.platform.durable.store import Link, Store, Worker
from celeriac.platform.flow.gate import Gate, Queued, TenantLimits
from celeriac.platform.store.local_store import LocalStore
from celeriac.tasks.heartbeat import Heartbeat
from celeriac.tasks.reconcile import Reconcile
from celeriac.tasks.slots import SlotRenewal
from celeriac.tasks.timers import Timers
from engine_stage import TENANT, Stage, new_app
from rules.engine_books import Account, Books
from rules.losable_parts import DEAD_AFTER, LosableGate, Wire
from rules.programs import Program, perform

RETRY_DELAY = timedelta(minutes=10)
FELLOWS = 3

#: a settling that takes longer than this hangs
_PATIENCE_SECONDS = 10.0

_numbers = count(1)


@dataclass
class Fellow:
    """A worker process."""

    wire: Wire
    engine: Engine
    heart: Heartbeat
    reconcile: Reconcile
    slots: SlotRenewal
    is_beating: bool = True


@dataclass
class Inside:
    """A body that stands still; `outcome` says whether it is to go well."""

    run_id: str
    fence: int
    path: str
    outcome: asyncio.Future[bool]


@dataclass
class Underway:
    """A link that executes."""

    message: Queued
    link_id: str
    fellow: Fellow
    future: asyncio.Future[bool]


class World(Stage):
    """Everything around the engines; the actions are coroutines, and each ends when all is still."""

    def __init__(self, store: Store, books: Books, clock: ManualClock) -> None:
        self._app = new_app()
        self._app.function(on="go", retries=2)(self.generated)
        self._app.function(id="child", retries=2)(self.generated)
        self._app.function(on="told")(_hear)
        self.target = f"{self._app.name}/child"
        conduct = Conduct(retry_delay=RETRY_DELAY)
        super().__init__(self._app, store=cast(LocalStore, store), clock=clock, conduct=conduct)
        self._manual, self.books = clock, books
        self.hints = LosableGate(clock)
        self.dispatcher = Dispatcher(cast(Gate, self.hints), self, lambda _: TenantLimits())
        self.programs: dict[str, Program] = {}
        self.cancelled: set[str] = set()
        self.ran: Counter[tuple[str, str]] = Counter()
        self.inside: list[Inside] = []
        #: every message that ever was
        self.sent: list[Queued] = []
        self.wrongs: list[str] = []
        self.is_open = False
        self._fences: dict[str, int] = {}
        self._underway: list[Underway] = []
        self._kernels: dict[tuple[str, int], DurableKernel] = {}

    async def __aenter__(self) -> Self:
        self._links = ThreadPoolExecutor(64)
        self._work = self.bodies = BodyThreads(1)  # one thread, so that what it was given before is done before
        self.fellows = [self._join() for _ in range(FELLOWS)]
        return self

    def publish(self, runs: Sequence[Queued]) -> None:
        """Take messages as a broker would, and remember them for those who double them."""
        super().publish(runs)
        self.sent += runs

    # -- user code ----------------------------------------------------------------------------------------------

    async def generated(self, ctx: Context, program: list[Any]) -> Any:
        """Be the function that the machine starts."""
        self.programs[ctx.run.id] = program
        return await perform(ctx, self, program)

    async def body(self, ctx: Context, *, held: bool, fails: int) -> str:
        """Be a step's body: stand still where it is `held`, fail where it is to, else return a value of its own."""
        kernel, path = cast(DurableKernel, ctx.step.kernel), ctx.step.path
        self._kernels[ctx.run.id, kernel.claim.fence] = kernel
        self._look_at_start(ctx.run.id, kernel.claim.fence, path)
        self.ran[ctx.run.id, path] += 1
        number = self.ran[ctx.run.id, path]
        goes_well = True
        if held and not self.is_open:
            me = Inside(ctx.run.id, kernel.claim.fence, path, asyncio.get_running_loop().create_future())
            self.inside.append(me)
            try:
                goes_well = await me.outcome
            finally:
                self.inside.remove(me)
        if number <= fails or not goes_well:
            raise RuntimeError("unlucky")
        return f"{path} for the {number}."

    def wrong(self, text: str) -> None:
        """Note what must never happen."""
        self.wrongs.append(text)

    def stumble(self, ctx: Context, name: str, times: int) -> None:
        """Raise the first times."""
        place = (ctx.run.id, f"{ctx.step.path}/{name}")
        self.ran[place] += 1
        if self.ran[place] <= times:
            raise RuntimeError("stumbled")

    def _look_at_start(self, run_id: str, fence: int, path: str) -> None:
        """Write down a body that must not have started; one whose run is another worker's by now may."""
        account = self.books.accounts()[run_id]
        if account.fence != fence:
            return
        if any(one.run_id == run_id and one.fence != fence and self._is_rightful(one) for one in self.inside):
            self.wrongs.append(f"The body of {path!r} of {run_id} started beside a link that executes the run already")
        if account.status == "running" and path in account.memos:
            self.wrongs.append(f"The body of {path!r} of {run_id} started though its step is committed")
        if account.is_final:
            self.wrongs.append(f"The body of {path!r} of {run_id} started though the run is {account.status}")
        wait = account.standing().get(path)
        if wait is not None and wait.kind == "retry" and wait.wake_at > self.clock.now():
            self.wrongs.append(f"The body of {path!r} of {run_id} started before its retry was due")

    def _is_rightful(self, one: Inside) -> bool:
        """Whether the worker in which the body stands has never been silent."""
        links = [link for link in self._underway if link.message.run_id == one.run_id]
        held = [link for link in links if one.fence == link.fellow.wire.fence_of(link.link_id)]
        return any(link.fellow.is_beating for link in held)

    # -- actions ------------------------------------------------------------------------------------------------

    async def take_in(self, name: str, data: Any = None) -> None:
        """Let an event arrive."""
        Intake(self.store, self.dispatcher).accept(TENANT, [Event(name, data)])
        await self.settle()

    async def give(self, signal: str) -> None:
        """Give a signal, whether or not anybody waits for it."""
        self.dispatcher.dispatch(self.store.signal(TENANT, signal, {"from": "outside"}).queued)
        await self.settle()

    async def deliver(self, message: Queued, *fellows: Fellow) -> None:
        """Give a run's message to these workers at the same time."""
        loop = asyncio.get_running_loop()
        for fellow in fellows:
            link = Link(id=f"link-{next(_numbers)}", root_id=message.root_id or message.run_id)
            future = loop.run_in_executor(self._links, fellow.engine.advance, message.run_id, link)
            self._underway.append(Underway(message, link.id, fellow, future))
        await self.settle()

    async def let_go(self, one: Inside, *, goes_well: bool) -> None:
        """Let a body end, if it still stands there."""
        if not one.outcome.done():
            one.outcome.set_result(goes_well)
        await self.settle()

    async def crash(self, fellow: Fellow) -> None:
        """Kill a worker process; a fresh one takes its place, and does not know it."""
        fellow.is_beating, fellow.wire.is_cut = False, True
        fellow.engine.abandon()
        self.fellows[self.fellows.index(fellow)] = self._join()
        await self.settle()

    async def beat(self) -> None:
        """Let every worker that is not silent renew its row."""
        for fellow in self.fellows:
            if fellow.is_beating:
                fellow.heart.run_once()
                fellow.slots.run_once()
        await self.settle()

    async def tick(self) -> None:
        """Look what is due and what may start."""
        Timers(self.store, self.dispatcher, ("runs",)).run_once()
        await self.settle()

    async def pass_by(self, time: timedelta) -> None:
        """Let time pass."""
        self._manual.advance(time)
        await self.beat()
        await self.tick()

    async def look_after(self, fellow: Fellow) -> None:
        """Let a worker reconcile, if it may."""
        if fellow.is_beating:
            fellow.reconcile.run_once()
        await self.settle()

    async def ask_to_end(self, run_id: str) -> None:
        """Ask a run to end."""
        self.cancelled.add(run_id)
        cancel(self.store, cast(Gate, self.hints), TENANT, run_id)
        await self.settle()

    async def lose_hints(self) -> None:
        """Lose the gate and the cache."""
        self.hints.lose()
        self.cache.clear()
        await self.beat()

    async def drain(self) -> list[Account]:
        """Let everything go on for as long as it takes; return the runs that have not ended even so."""
        self.is_open = True
        for fellow in self.fellows:
            fellow.is_beating = True
        for one in list(self.inside):
            await self.let_go(one, goes_well=True)
        left: list[Account] = []
        for _ in range(80):
            await self.pass_by(timedelta(hours=13))
            for fellow in self.fellows:
                await self.look_after(fellow)
            messages, self.messages = self.messages, []
            for message in messages:
                await self.deliver(message, self.fellows[0])
            left = [account for account in self.books.accounts().values() if not account.is_final]
            if not left and not self.messages and self.wrongs == []:
                break
        return left

    # -- settling -----------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Go on until each link has ended or stands still inside a body."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while not await self._is_still():
            if asyncio.get_running_loop().time() > deadline:
                names = [f"{one.message.run_id} on {one.fellow.engine.worker_id}" for one in self._underway]
                raise AssertionError(f"Links go on for ever: {names}")
            if self._underway:
                await asyncio.wait({one.future for one in self._underway}, timeout=0.001)

    async def _is_still(self) -> bool:
        await _done(self.bodies.submit(lambda: None))
        for one in [one for one in self._underway if one.future.done()]:
            self._underway.remove(one)
            if one.future.result() and not one.fellow.wire.is_cut:
                self.publish([replace(one.message, root_id=one.message.root_id or one.message.run_id)])
        stand = [await self._stands_still(one) for one in list(self._underway)]
        return all(stand) and not any(one.future.done() for one in self._underway)

    async def _stands_still(self, one: Underway) -> bool:
        claim = one.fellow.wire.claims.get(one.link_id)
        if claim is None:
            return False
        kernel = self._kernels.get((claim.run.id, claim.fence))
        if kernel is None:
            return False
        if not kernel.parking.ended.done():
            still: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            kernel.parking.when_still(partial(still.set_result, None))
            await still
        if kernel.parking.ended.done() or kernel.parking._busy:
            return False
        return any(inside.run_id == claim.run.id for inside in self.inside)

    # -- workers ------------------------------------------------------------------------------------------------

    def _join(self) -> Fellow:
        wire = Wire(self.store, self._fences, self.wrongs)
        store = cast(Store, wire)
        engine = Engine(
            self._registry,
            store=store,
            cache=self.cache,
            dispatcher=self.dispatcher,
            clock=self.clock,
            loop=asyncio.get_running_loop(),
            executor=self._work,
            bodies=self.bodies,
            worker_id="",
        )
        self._engines[f"{next(_numbers)}"] = engine
        heart = Heartbeat(store, self.dispatcher, engine, SyncedClock(), describe=_describe, dead_after=DEAD_AFTER)
        heart.run_once()
        eye: Any = _Eye(heart, self._manual)
        reconcile = Reconcile(store, self.dispatcher, engine, eye, dead_after=DEAD_AFTER)
        return Fellow(wire, engine, heart, reconcile, SlotRenewal(store, self.dispatcher, engine))


class _Eye:
    """The heartbeat as reconcile sees it; by the world's clock a worker that beats may always judge."""

    def __init__(self, heart: Heartbeat, clock: ManualClock) -> None:
        self._heart, self._clock = heart, clock

    @property
    def judges_as_of(self) -> datetime:
        return self._clock.now()

    @property
    def worker(self) -> Worker:
        return self._heart.worker


def _describe() -> Worker:
    """Return the row of a worker that is alone on its host, so that nobody looks for its pid."""
    id = f"worker-{next(_numbers)}"
    return Worker(id=id, host=id, boot_id="b", pid_namespace="n", pid=1, pid_started=1, queues=("runs",), capacity=100)


async def _hear(ctx: Context, by: str) -> str:
    return by


async def _done(future: Any) -> None:
    await asyncio.wrap_future(future)
