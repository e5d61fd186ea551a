"""The harness: runs durable functions to their end in one process, with a clock to move.

The real engine on the stores' in-memory twins; no servers. `restart` drops every coroutine and all cached memos, as a
`kill -9` would, so that a test proves that a function is safe to replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from celeriac.clock import Duration, ManualClock, duration
from celeriac.errors import NotFoundError
from celeriac.platform.agents.mcp_server import close_servers
from celeriac.platform.agents.seals import Seals
from celeriac.platform.app import App
from celeriac.platform.approval import Decision, approval_signal
from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.durable.approvals import meant, requests
from celeriac.platform.durable.asked import AskedCall
from celeriac.platform.durable.cancelling import cancel
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.intake import Intake
from celeriac.platform.durable.memo import Memo
from celeriac.platform.durable.performing import perform
from celeriac.platform.durable.placed import Process, of_member
from celeriac.platform.durable.record import value_of
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.store import Link
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.flow.meter import Allowance, Meter
from celeriac.platform.memory.memory import Memories
from celeriac.platform.models.live_calls import in_test
from celeriac.platform.models.model import Model
from celeriac.platform.placement import PLACES
from celeriac.platform.run import Run
from celeriac.platform.step import as_events
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.reading import close_quietly, read_chunks
from celeriac.wiring import local_rooms

_CAPACITY = 1_000


@dataclass
class Ledger:
    """What models have cost the tenant, in US dollars."""

    today: float = 0.0
    this_month: float = 0.0

    def spent_now(self, tenant_id: str) -> Ledger:
        """Return it as it stands."""
        return self


_WORKER = "wrk_harness"
_PROCESS = Process(worker_id=_WORKER, pid=0, pid_started=0)


class Harness:
    """`async with Harness(app) as h:`, then `send`, `settle`, `advance`, `restart`, and look at `run` and `steps`."""

    def __init__(
        self,
        app: App,
        model: Model | None = None,
        tenant: str = "test",
        *,
        limits: TenantLimits | None = None,
        conduct: Conduct | None = None,
        allowance: Allowance | None = None,
        memories: Memories | None = None,
    ) -> None:
        """Run the app's functions for one tenant; `model` replaces every model of the app.

        `allowance` limits its calls of models; `memories` keeps what the app remembers, in memory by default.
        """
        self.clock = ManualClock()
        #: what models have cost, as the budgets of the `allowance` see it; a test may set it
        self.ledger = Ledger()
        self._allowance = allowance or Allowance()
        self.tenant = tenant
        #: the ids of the tasks that made up each run's chain, in order
        self.chains: dict[str, list[str]] = {}
        self._app = app
        self._rooms = local_rooms(self.clock, dead_after=timedelta(days=400), tenants=lambda: [self.tenant])
        self._conduct = conduct or Conduct()
        self._registry = app.registry(
            self._conduct,
            memories=memories or self._rooms.memories,
            threads=self._rooms.threads,
            seals=Seals(b"harness"),
            model=model,
        )
        self._dispatcher = Dispatcher(
            self._rooms.gate, self, lambda _: limits or TenantLimits(), self._rooms.store.declared
        )
        self._meter = Meter(self._rooms.buckets, lambda _: self._allowance, self.ledger, now=self.clock.now)
        self._intake = Intake(self._rooms.store, self._dispatcher, admit=self._meter.admit_events)
        self._links: list[Queued] = []
        self._as_test = ExitStack()

    async def __aenter__(self) -> Self:
        """Start the engine on the running loop; models are not called at their providers' addresses from here on."""
        self._as_test.enter_context(in_test())
        self._advancing = ThreadPoolExecutor(64, thread_name_prefix="harness-links")
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="harness-engine")
        self._bodies = BodyThreads(64, thread_name_prefix="harness-bodies")
        self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; what is not settled is dropped, and sessions with MCP servers are closed."""
        self._as_test.close()
        self._engine.close()
        await close_servers()
        self._advancing.shutdown(wait=False)
        self._bodies.shutdown(wait=False)
        self._threads.shutdown(wait=False)

    def _start(self) -> None:
        declarations = self._app.declarations(home=self.tenant)
        self._rooms.store.declare(self._app.name, declarations, self._app.schemas())
        self._rooms.gate.attend(_WORKER, sorted({*(one.queue for one in declarations), *PLACES}), _CAPACITY)
        self._engine = Engine(
            self._registry,
            store=self._rooms.store,
            cache=self._rooms.cache,
            dispatcher=self._dispatcher,
            clock=self.clock,
            loop=asyncio.get_running_loop(),
            executor=self._threads,
            bodies=self._bodies,
            worker_id=_WORKER,
            meter=self._meter,
            stream=self._rooms.stream,
        )

    def publish(self, runs: Sequence[Queued]) -> None:
        """Take links as a broker would; the dispatcher calls it."""
        self._links += runs

    def backlog(self, queue: str) -> int:
        """Return how many links wait."""
        return sum(run.queue == queue for run in self._links)

    async def send(self, event: str | Event | Sequence[Event], data: Any = None) -> list[Run]:
        """Send events and settle; return the runs that they started or joined, as they stand then."""
        accepted = self._intake.accept(self.tenant, as_events(event, data))
        await self.settle()
        return self._rooms.store.runs_of({one.id for one in accepted if not one.is_duplicate})

    async def settle(self) -> None:
        """Advance all runs until each has ended or waits."""
        while True:
            self._dispatcher.follow(self._rooms.store.fire_crons())
            self._dispatcher.follow(self._rooms.store.match_pending())
            self._dispatcher.dispatch([*self._rooms.store.wake_due(), *self._rooms.store.wake_placed()])
            expired = self._rooms.store.expire()
            ended = [run for run in expired if run.status == "cancelled"]
            self._dispatcher.forget([run.id for run in ended])
            for run in ended:
                close_quietly(self._rooms.stream, run)
            # A thread of the engine may stand between what it made true and its dispatch.
            self._dispatcher.dispatch(self._rooms.store.stranded(older_than=timedelta(seconds=-1)))
            self._dispatcher.dispatch(self._rooms.store.stranded_placed(self.clock.now()))
            links, self._links = self._links, []
            if not links:
                return
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(self._advancing, self._advance, link) for link in links))

    def _advance(self, queued: Queued) -> None:
        run_id, path = of_member(queued.run_id)
        if path:
            self._perform(run_id, path)
            return
        chain = self.chains.setdefault(queued.run_id, [])
        goes_on, fence = True, queued.fence
        while goes_on:
            chain.append(f"{queued.run_id}-{len(chain) + 1}")
            goes_on = self._engine.advance(queued.run_id, Link(id=chain[-1], root_id=chain[0], fence=fence))
            fence += 1

    def _perform(self, run_id: str, path: str) -> None:
        """Do the placed step here, as a process of its queue would."""
        performed = perform(self._rooms.store, run_id, path, _PROCESS, self._conduct)
        if performed is not None:
            self._dispatcher.dispatch(performed.woken)
            self._dispatcher.send_picked(performed.slot.queue, ended=(performed.slot,))

    async def advance(self, time: Duration) -> None:
        """Let time pass: the clock stops at each moment at which something is due, and what that wakes settles."""
        end = self.clock.now() + duration(time)
        while (due_at := self._rooms.store.next_time()) is not None and due_at <= end:
            if due_at > self.clock.now():
                self.clock.advance(due_at - self.clock.now())
            await self.settle()
            if self._rooms.store.next_time() == due_at:
                break  # what is due does not come to be; time goes on all the same
        self.clock.advance(end - self.clock.now())
        await self.settle()

    async def restart(self) -> None:
        """Forget everything but the truth, as if every process had been killed."""
        self._engine.close()
        self._rooms.cache.clear()
        self._start()

    async def rerun(self, run_id: str, *, from_step: str | None = None, input: Any = None) -> Run:
        """Do an ended run again, or from a step on, with another input for it; settle, and return the new run."""
        queued = self._rooms.store.rerun(self.tenant, run_id, Wish(from_step=from_step, input=input))
        self._dispatcher.dispatch([queued])
        await self.settle()
        return self.run(queued.run_id)

    def run(self, run_id: str) -> Run:
        """Return a run as it stands."""
        if run_id not in self._rooms.store.all:
            raise NotFoundError(f"There is no run {run_id!r}")
        return self._rooms.store.all[run_id].run

    def runs(self) -> list[Run]:
        """Return all runs in the order in which they were made."""
        return [stored.run for stored in self._rooms.store.all.values()]

    def steps(self, run_id: str) -> list[Memo]:
        """Return what the run remembers, in the order of its commits."""
        return sorted((memo for memo, _ in self._rooms.store.all[run_id].steps.values()), key=lambda memo: memo.seq)

    def chunks(self, run_id: str, *, after: int = -1) -> list[Chunk]:
        """Return what the run told behind that number, in order."""
        if self._engine.chunks is not None:
            self._engine.chunks.flush()
        return read_chunks(self._rooms.stream, self.run(run_id), after=after)

    def attempts(self, run_id: str) -> list[str]:
        """Return the paths of failed attempts that were tried again, in order."""
        return [attempt.path for attempt in self._rooms.store.all[run_id].attempts]

    async def approve(
        self, run_id: str, call_id: str, *, approved: bool = True, reason: str | None = None, by: str | None = None
    ) -> bool:
        """Decide on a tool call as `App.approve` does, and settle."""
        found = meant(run_id, self.open_approvals(run_id), call_id)
        if found is None:
            return False
        decision = Decision(approved=approved, reason=reason, by=by, at=self.clock.now().isoformat())
        signal = approval_signal(found.request.id)
        signalled = self._rooms.store.signal(self.tenant, signal, decision.export())
        self._dispatcher.dispatch(signalled.queued)
        await self.settle()
        return signalled.is_awaited

    def open_approvals(self, run_id: str) -> list[AskedCall]:
        """Return the tool calls of a run that wait for a person."""
        if self.run(run_id).is_final:
            return []
        values = {memo.path: value_of(memo) for memo in self.steps(run_id) if memo.error is None}
        found = requests(self._rooms.store.all[run_id].waits.values(), values.get)
        return [call for call in found if call.is_open]

    def cancel(self, run_id: str) -> Run:
        """Ask a run to end."""
        return cancel(self._rooms.store, self._rooms.gate, self.tenant, run_id, stream=self._rooms.stream)
