"""The stage of the engine's tests: engines on one store, and the test decides which message reaches which of them.

The harness settles runs by itself; here a link is advanced by hand, so that a second engine, a crash or a cancel can
come in between. The engines' loop is the test's own: an `asyncio.Event` holds a body wherever a test wants it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Self, TypeVar

from celeriac import App, Event, Run
from celeriac.clock import Clock, Duration, ManualClock
from celeriac.platform.agents.local_threads import LocalThreads
from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.intake import Intake
from celeriac.platform.durable.memo import Memo
from celeriac.platform.durable.store import Link, Worker
from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.models.model import Model
from celeriac.platform.store.local_cache import LocalCache
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.local_stream import LocalStream
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.reading import read_chunks

T = TypeVar("T")

TENANT = "test"
_names = itertools.count(1)


def new_app() -> App:
    """Make an app of a name of its own."""
    return App(f"app{next(_names):06}")  # of one length: names count in the bytes that are used


async def soon(awaitable: Awaitable[T]) -> T:
    """Return what comes of it within ten seconds."""
    return await asyncio.wait_for(awaitable, 10)


class Hold:
    """A step's body that stays inside until the test lets it go; then it returns what it was made with."""

    def __init__(self, value: Any = None) -> None:
        self._value = value
        self._entered = asyncio.Semaphore(0)
        self._gate = asyncio.Event()

    async def __call__(self) -> Any:
        self._entered.release()
        await self._gate.wait()
        return self._value

    async def is_entered(self) -> None:
        """Wait until the body has been entered once more."""
        await soon(self._entered.acquire())

    def let_go(self) -> None:
        """Let the body return, now and from now on."""
        self._gate.set()


class Stage:
    """An app's functions on a store, with as many engines as a test names."""

    def __init__(
        self,
        app: App,
        *,
        store: LocalStore | None = None,
        clock: Clock | None = None,
        conduct: Conduct | None = None,
        model: Model | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.store = store or LocalStore(self.clock)
        self.store.declare(app.name, app.declarations(), app.schemas())
        self.cache = LocalCache()
        self.stream = LocalStream()
        #: links that the gate let go, as a broker would hold them
        self.messages: list[Queued] = []
        self._gate = LocalGate(self.clock, dead_after=timedelta(days=1))
        self.dispatcher = Dispatcher(self._gate, self, lambda _: TenantLimits(), self.store.declared)
        self.threads = LocalThreads()
        self._registry = app.registry(conduct or Conduct(), threads=self.threads, model=model)
        self._engines: dict[str, Engine] = {}

    async def __aenter__(self) -> Self:
        self._links = ThreadPoolExecutor(8)
        self._work = ThreadPoolExecutor(8)
        self.bodies = BodyThreads(8)
        self._gate.attend("everybody", ["runs", "memory"], 100)
        return self

    async def __aexit__(self, *_: object) -> None:
        for engine in self._engines.values():
            engine.close()
        self._links.shutdown(wait=False)
        self._work.shutdown(wait=False)
        self.bodies.shutdown(wait=False)

    def publish(self, runs: Sequence[Queued]) -> None:
        """Take links as a broker would."""
        self.messages += runs

    def engine(self, name: str = "a") -> Engine:
        """Return the engine of that worker, a new one at the first call."""
        if name not in self._engines:
            self.store.register(_worker(name))
            self._engines[name] = Engine(
                self._registry,
                store=self.store,
                cache=self.cache,
                dispatcher=self.dispatcher,
                clock=self.clock,
                loop=asyncio.get_running_loop(),
                executor=self._work,
                bodies=self.bodies,
                worker_id=name,
                stream=self.stream,
            )
        return self._engines[name]

    def send(self, event: str, data: Any = None) -> list[str]:
        """Take in an event; return the ids of the runs that it started."""
        [accepted] = Intake(self.store, self.dispatcher).accept(TENANT, [Event(event, data)])
        return [stored.run.id for stored in self.store.all.values() if stored.run.event_id == accepted.id]

    def advance(self, run_id: str, engine: str = "a") -> asyncio.Future[bool]:
        """Give the run's message to an engine, and go on meanwhile."""
        link = Link(id=f"{run_id}-{next(_names)}", root_id=run_id)
        return asyncio.get_running_loop().run_in_executor(self._links, self.engine(engine).advance, run_id, link)

    async def finish(self, run_id: str, engine: str = "a") -> Run:
        """Advance link by link until the run has ended or waits."""
        while self.run(run_id).status == "queued":
            await soon(self.advance(run_id, engine))
        return self.run(run_id)

    def pass_time(self, time: Duration) -> None:
        """Move the clock and wake what is due."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(time)
        self.dispatcher.dispatch(self.store.wake_due())

    def kill(self, engine: str) -> None:
        """Judge a worker dead, as reconcile would: its runs are queued again."""
        self.dispatcher.dispatch(self.store.bury([engine]))

    def run(self, run_id: str) -> Run:
        """Return a run as it stands."""
        return self.store.all[run_id].run

    def chunks(self, run_id: str) -> list[Chunk]:
        """Return what a run has told."""
        for engine in self._engines.values():
            if engine.chunks is not None:
                engine.chunks.flush()
        return read_chunks(self.stream, self.run(run_id))

    def steps(self, run_id: str) -> list[Memo]:
        """Return what the run remembers, in the order of its commits."""
        return sorted((memo for memo, _ in self.store.all[run_id].steps.values()), key=lambda memo: memo.seq)


def _worker(name: str) -> Worker:
    return Worker(
        id=name, host="h", boot_id="b", pid_namespace="n", pid=1, pid_started=1, queues=("runs",), capacity=100
    )
