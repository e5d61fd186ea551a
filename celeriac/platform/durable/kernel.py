"""The durable kernel: replays what is remembered and commits what is new.

One a link. A step whose memo is there returns it; any other runs its body under a scope of its own and commits the
result through the journal before the caller sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from celeriac.clock import Clock
from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.codec import Uncodable, encode, encode_within, storable
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.journal import Journal
from celeriac.platform.durable.memo import AttemptFailed, Memo, Wait
from celeriac.platform.durable.outgoing import Outgoing
from celeriac.platform.durable.pacing import Pacing
from celeriac.platform.durable.parking import Cause, Parking
from celeriac.platform.durable.races import race
from celeriac.platform.durable.record import Record, told, value_of
from celeriac.platform.durable.replay import Replay
from celeriac.platform.durable.retry import next_retry
from celeriac.platform.durable.store import Claim, Store
from celeriac.platform.durable.waiting import Waiting
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.flow.meter import Meter
from celeriac.platform.kernel import Call, EventWait, Invocation, SignalWait
from celeriac.platform.mcp.endpoint import McpLimits
from celeriac.platform.models.key_choice import KeyChoice
from celeriac.platform.models.pace import Pace
from celeriac.platform.placement import Placement
from celeriac.platform.scope import Scope, enter
from celeriac.platform.streams.outlet import InPlace, Outlet

if TYPE_CHECKING:
    from celeriac.platform.fetching.limits import FetchLimits


class DurableKernel:
    """Does the work of the verbs for one link of one run."""

    durable = True

    def __init__(
        self,
        claim: Claim,
        memos: Sequence[Memo],
        waits: Sequence[Wait],
        *,
        store: Store,
        journal: Journal,
        clock: Clock,
        conduct: Conduct,
        executor: Executor,
        bodies: BodyThreads,
        on_memo: Callable[[Memo], None],
        on_sent: Callable[[Sequence[str]], None],
        dispatch: Callable[[Sequence[Queued]], None],
        is_draining: Callable[[], bool],
        meter: Meter | None = None,
        outlet: Outlet | None = None,
    ) -> None:
        """Replay from `memos` and `waits`; tell of new memos, of events that were committed and of runs woken."""
        self.origin = claim.run.id
        self.executor = bodies
        self.claim = claim
        self.outlet: Outlet = outlet or InPlace()
        self.parking = Parking()
        self._replay = Replay(memos, waits, self.parking)
        self._record = Record(
            claim,
            self._replay,
            self.parking,
            journal=journal,
            clock=clock,
            conduct=conduct,
            executor=executor,
            on_memo=on_memo,
        )
        self._waiting = Waiting(self._record, store, on_sent)
        self._pacing = Pacing(self._record, self._waiting, meter)
        self._outgoing = Outgoing(self._record, store, on_sent, dispatch)
        self._store, self._dispatch = store, dispatch
        self._clock, self._conduct, self._is_draining = clock, conduct, is_draining
        self._tenant_id = claim.run.tenant_id
        self._is_live = False
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + conduct.link_budget.total_seconds()

    def now(self) -> datetime:
        """Return the time of the installation's clock."""
        return self._clock.now()

    async def settled(self) -> None:
        """Wait until the truth knows all that branches were beginning, also those that were dropped."""
        await self._record.settled()

    @property
    def suspending(self) -> bool:
        """Whether the link ends before the run does."""
        ended = self.parking.ended
        return ended.done() and ended.result() != "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether the link is being ended."""
        return self.parking.is_over

    @property
    def is_replaying(self) -> bool:
        """Whether all that was done in this link was remembered, and there is more to remember."""
        return self._replay.has_more and not self._is_live

    @property
    def fetch_limits(self) -> FetchLimits:
        """The installation's limits."""
        return self._conduct.fetch_limits

    @property
    def mcp_limits(self) -> McpLimits:
        """The installation's limits."""
        return self._conduct.mcp_limits

    async def key_choice(self, provider: str) -> KeyChoice | None:
        """Ask for what the run's tenant brings along."""
        choose = self._conduct.choose_key
        return None if choose is None else await choose(self._tenant_id, provider)

    def pace(self, path: str) -> Pace | None:
        """Return what keeps the calls of an attempt to the tenant's limits."""
        return self._pacing.of(path)

    @property
    def deferred(self) -> Sequence[Memo]:
        """What is to start once the run has ended."""
        return self._record.deferred

    # -- the verbs ----------------------------------------------------------------------------------------------

    async def perform(self, call: Call) -> Any:
        """Return the step's value: remembered, or made and committed now. Raises `StepError` when it failed."""
        memo = await self._record.recall(call.path)
        if memo is None and call.placement is not None:
            return value_of(await self._placed(call, call.placement))
        if memo is None:
            memo = await self._make(call)
            is_turn = call.kind == "turn" and self._conduct.links == "turn"
            if is_turn or self._loop.time() > self._ends_at or self._is_draining():
                await self._end_link(call.path)
        return value_of(memo)

    def sleep(self, path: str, until: timedelta | datetime) -> Awaitable[None]:
        """Stand still for a time, or until one."""
        return self._waiting.until(path, until)

    def wait_for_event(self, wait: EventWait) -> Awaitable[Event | None]:
        """Stand still until the event comes, or the timeout: None."""
        return self._waiting.for_event(wait)

    def wait_for_signal(self, wait: SignalWait) -> Awaitable[Any]:
        """Stand still until the signal is given, or the timeout: None."""
        return self._waiting.for_signal(wait)

    def send(self, path: str, events: Sequence[Event]) -> Awaitable[list[str]]:
        """Send events under ids made from run and path: once."""
        return self._outgoing.events(path, events)

    def send_signal(self, path: str, signal: str, data: Any) -> Awaitable[bool]:
        """Give a signal once; return whether a run waited for it."""
        return self._outgoing.signal(path, signal, data)

    def invoke(self, invocation: Invocation) -> Awaitable[Any]:
        """Start a run, stand still until it ends, and return its output."""
        return self._waiting.for_run(invocation)

    def defer(self, path: str, target: str, data: Any) -> Awaitable[None]:
        """Start a run once this one has ended."""
        return self._outgoing.defer(path, target, data)

    def race(self, path: str, branches: Mapping[str, Awaitable[Any]]) -> Awaitable[tuple[str, Any]]:
        """Return the name and the value of the branch that ends first, and remember who that was."""
        return race(self, self._record, path, branches)

    # -- the function's own body --------------------------------------------------------------------------------

    @property
    def max_output_bytes(self) -> int:
        """The largest output of the run."""
        return self._conduct.max_output_bytes

    async def await_retry(self) -> None:
        """Stand still until the time of the body's next attempt, where one is planned."""
        wait = self._replay.waits.get("")
        if wait is not None:
            await self._waiting.stand_still(wait)

    async def plans_retry(self, error: Exception) -> bool:
        """Decide whether the body is tried again after `error`, and commit when."""
        wait = self._replay.waits.get("")
        failed = (wait.number if wait is not None else 0) + 1
        now = self._clock.now()
        delay = self._delay_after(error, failed, self._conduct.retries)
        if delay is not None:
            await self._plan(Wait(path="", kind="retry", number=failed, wake_at=now + delay), error, now)
        return delay is not None

    def interrupt(self, cause: Cause) -> None:
        """End the link now for a cause from outside; called on the loop."""
        self.parking.interrupt(cause)

    # -- attempts -----------------------------------------------------------------------------------------------

    async def _make(self, call: Call) -> Memo:
        """Run the body until it is done for good, over parkings and attempts."""
        wait = self._replay.waits.get(call.path)
        failed = wait.number if wait is not None else 0
        if wait is not None:
            await self._waiting.stand_still(wait)
        self._is_live = True
        retries = self._conduct.retries if call.retries is None else call.retries
        while True:
            begun, given, used = self._clock.now(), None, {}
            try:
                call = self._edited(call)
                given = _for_people(call.input)  # before the body can change it
                value = await self._execute(call)
                used = _used(call, value)
                text = encode_within(value, self._conduct.max_output_bytes, f"The output of step {call.path!r}")
                if too_much := self._record.excess(call.path, text):
                    raise too_much
            except Exception as error:  # noqa: BLE001  # user code may raise anything
                begun = self._pacing.begun(call.path, begun)
                failed += 1
                delay = None if isinstance(error, Uncodable) else self._delay_after(error, failed, retries)
                if delay is None:
                    spent = used.get("usage") if call.spent is None else call.spent()
                    parts = {"error": told(error, spent), "attempt": failed, "input": given, **used}
                    return await self._record.done(call.path, call.kind, None, started_at=begun, **parts)
                again = Wait(path=call.path, kind="retry", number=failed, wake_at=self._clock.now() + delay)
                await self._plan(again, error, begun)
                if call.on_retry is not None:
                    call.on_retry(failed, error)
                if delay:
                    await self._waiting.stand_still(again)
            else:
                begun = self._pacing.begun(call.path, begun)
                parts = {"attempt": failed + 1, "input": given, **used}
                return await self._record.done(call.path, call.kind, text, started_at=begun, **parts)

    async def _placed(self, call: Call, placement: Placement) -> Memo:
        """Let a process of another queue do the work; its commit wakes the run, or is heard of while the link lives."""
        self._is_live = True
        wait = self._replay.waits.get(call.path)
        if wait is None or wait.kind != "placed":
            if call.path in self.claim.overrides:
                placement = replace(placement, args=tuple(self.claim.overrides[call.path]))
            retries = self._conduct.retries if placement.retries is None else placement.retries
            text = replace(placement, retries=retries).encode()
            place = partial(self._store.place, self.claim, call.path, placement.queue, text)
            queued = await self._record.in_thread(place)
            if queued is None:
                self.parking.leave("lost")
            self._record.executor.submit(self._dispatch, [queued])
        return await self._waiting.for_placed(call.path)

    def _edited(self, call: Call) -> Call:
        """Return the call with the input that a rerun has for it."""
        overrides = self.claim.overrides
        if call.path not in overrides or call.edit is None:
            return call
        given = overrides[call.path]
        return replace(call, body=call.edit(given), input=given, edit=None)

    async def _execute(self, call: Call) -> Any:
        with self.parking.body(call.path), enter(Scope(self, call.path)):
            if call.timeout is None:
                return await call.body()
            return await asyncio.wait_for(call.body(), call.timeout.total_seconds())

    def _delay_after(self, error: Exception, failed: int, retries: int) -> timedelta | None:
        fixed = self._conduct.retry_delay
        return next_retry(error, failed=failed, retries=retries, now=self._clock.now(), fixed=fixed)

    async def _plan(self, wait: Wait, error: Exception, begun: datetime) -> None:
        """Commit that an attempt has failed and when the next one is to be."""
        entry = AttemptFailed(
            **self._record.right(wait.path),
            number=wait.number,
            error=told(error),
            started_at=begun,
            ended_at=self._clock.now(),
            wait=wait,
        )
        await self._record.commit(entry)

    async def _end_link(self, path: str) -> None:
        """End the link here if nothing else executes; the next one goes on from the memo."""
        if self.parking.is_alone(path):
            self.parking.cause = "onward"
            await self.parking.stand_still(path)


def _used(call: Call, value: Any) -> dict[str, Any]:
    """Return what counts of a body that has ended, also where its value cannot be kept: it was paid for."""
    used: dict[str, Any] = {}
    if call.usage is not None:
        used["usage"] = call.usage(value)
    if call.model is not None:
        used["model"] = call.model(value)
    return used


def _for_people(given: Any) -> str | None:
    """Return a step's input as JSON text; what has no JSON form as its repr, as nobody reads it back."""
    if given is None:
        return None
    try:
        text = encode(given)
    except Uncodable:
        text = encode(storable(repr(given)[:1000]))
    return text if len(text) <= 256 * 1024 else encode(text[: 64 * 1024] + " …")
