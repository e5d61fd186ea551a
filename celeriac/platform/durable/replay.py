"""The durable kernel: replays what is remembered and commits what is new.

One a link. A step whose memo is there returns it; any other runs its body under a scope of its own and commits the
result through the journal before the caller sees it. Memos are delivered in the order of their commits, so that
branches that ran side by side meet again as they met before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn

from celeriac.clock import Clock
from celeriac.errors import ConfigError, LimitError, StepError, StoreUnavailable
from celeriac.ids import derived_id
from celeriac.platform.codec import Uncodable, encode, encode_within, storable
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.event_check import check_event
from celeriac.platform.durable.journal import Journal
from celeriac.platform.durable.memo import (
    AttemptFailed,
    Entry,
    Memo,
    OutgoingEvent,
    StepDone,
    StepKind,
    Wait,
    WaitBegun,
    outermost,
)
from celeriac.platform.durable.parking import Parking, Suspended
from celeriac.platform.durable.retry import next_retry
from celeriac.platform.durable.store import Claim, Store
from celeriac.platform.event import RESERVED, Event
from celeriac.platform.expression import MISSING, look_up
from celeriac.platform.message import Usage
from celeriac.platform.step import Call, EventWait, Scope, enter

#: why a link ended before the run did
Cause = Literal["parked", "onward", "lost", "cancelled"]


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
        on_memo: Callable[[Memo], None],
        on_sent: Callable[[Sequence[str]], None],
        is_draining: Callable[[], bool],
    ) -> None:
        """Replay from `memos` and `waits`; tell of new memos and of events that were committed."""
        self.origin = claim.run.id
        self.executor: Executor | None = executor
        self.claim = claim
        self._memos: dict[str, Memo] = {memo.path: memo for memo in memos}
        self._waits = {wait.path: wait for wait in waits}
        self._undelivered = outermost(self._memos, self._waits)
        self._is_live = False
        self._bytes = sum(len(memo.value or "") for memo in memos)
        self._steps = len(memos)
        self._store, self._journal, self._clock = store, journal, clock
        self._conduct = conduct
        self._on_memo, self._on_sent, self._is_draining = on_memo, on_sent, is_draining
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + conduct.link_budget.total_seconds()
        self._deliveries: dict[int, asyncio.Future[None]] = {}
        self._is_delivering = False
        self.ended: asyncio.Future[Cause] = self._loop.create_future()
        self._cause: Cause = "parked"
        self.parking = Parking(self._quiet)

    @property
    def suspending(self) -> bool:
        """Whether the link ends before the run does."""
        return self.ended.done() and self.ended.result() != "cancelled"

    @property
    def is_replaying(self) -> bool:
        """Whether all that was done in this link was remembered, and there is more to remember."""
        return bool(self._undelivered) and not self._is_live

    # -- the verbs ----------------------------------------------------------------------------------------------

    async def perform(self, call: Call) -> Any:
        """Return the step's value: remembered, or made and committed now. Raises `StepError` when it failed."""
        memo = await self._recall(call.path)
        if memo is None:
            memo = await self._make(call)
            is_turn = call.kind == "turn" and self._conduct.links == "turn"
            if is_turn or self._loop.time() > self._ends_at or self._is_draining():
                await self._end_link(call.path)
        if memo.error is not None:
            error = json.loads(memo.error)
            raise StepError(call.path, error["name"], error["message"])
        return json.loads(memo.value or "null")

    async def sleep(self, path: str, until: timedelta | datetime) -> None:
        """Stand still; the time is fixed by the commit of the wait, so that a crash does not start it anew."""
        if await self._recall(path) is not None:
            return
        now = self._clock.now()
        wait = self._waits.get(path)
        if wait is None:
            wake_at = until if isinstance(until, datetime) else now + until
            wait = Wait(path=path, kind="sleep", wake_at=wake_at)
            await self._commit(WaitBegun(**self._right(path), wait=wait))
        await self._stand_still_for(wait)
        begun = wait.wake_at - until if isinstance(until, timedelta) else min(now, wait.wake_at)
        await self._done(path, "sleep", "null", started_at=begun)

    async def wait_for_event(self, wait: EventWait) -> Event | None:
        """Stand still until the event comes. The wait is registered in a transaction of its own (see the store)."""
        memo = await self._recall(wait.path)
        if memo is None:
            self.parking.refuse_timeout(wait.path)
            registered = self._waits.get(wait.path) or await self._register(wait)
            if registered.resolved_at is None:
                await self.parking.stand_still(wait.path)
            begun = (registered.since or self._clock.now()) + (wait.since or timedelta(0))
            memo = await self._done(wait.path, "event", registered.event or "null", started_at=begun)
        data = json.loads(memo.value or "null")
        if data is None:
            return None
        ts = datetime.fromisoformat(data["ts"]) if data.get("ts") else None
        return Event(data["name"], data.get("data"), id=data.get("id"), ts=ts)

    async def send(self, path: str, events: Sequence[Event]) -> list[str]:
        """Send events in the transaction that commits the step, under ids made from run and path: once."""
        memo = await self._recall(path)
        if memo is None:
            outgoing = tuple(self._outgoing(path, number, event) for number, event in enumerate(events))
            ids = [event.id for event in outgoing]
            memo = await self._done(path, "send", encode(ids), started_at=self._clock.now(), events=outgoing)
            self._on_sent(ids)
        value: list[str] = json.loads(memo.value or "[]")
        return value

    # -- the function's own body --------------------------------------------------------------------------------

    @property
    def max_output_bytes(self) -> int:
        """The largest output of the run."""
        return self._conduct.max_output_bytes

    async def await_retry(self) -> None:
        """Stand still until the time of the body's next attempt, where one is planned."""
        wait = self._waits.get("")
        if wait is not None:
            await self._stand_still_for(wait)

    async def plans_retry(self, error: Exception) -> bool:
        """Decide whether the body is tried again after `error`, and commit when."""
        wait = self._waits.get("")
        failed = (wait.number if wait is not None else 0) + 1
        now = self._clock.now()
        delay = next_retry(
            error, failed=failed, retries=self._conduct.retries, now=now, fixed=self._conduct.retry_delay
        )
        if delay is None:
            return False
        again = Wait(path="", kind="retry", number=failed, wake_at=now + delay)
        await self._commit(
            AttemptFailed(
                **self._right(""), number=failed, error=_told(error), started_at=now, ended_at=now, wait=again
            )
        )
        return True

    def interrupt(self, cause: Cause) -> None:
        """End the link now for a cause from outside; called on the loop."""
        self._cause = cause
        self._quiet()

    # -- replay -------------------------------------------------------------------------------------------------

    async def _recall(self, path: str) -> Memo | None:
        if self.ended.done() or self.parking.is_over:
            raise Suspended
        memo = self._memos.get(path)
        if memo is None and self._steps >= self._conduct.max_steps:
            _too_many_steps(self._conduct.max_steps)
        if path in self._undelivered:
            if memo is not None:
                await self._deliver(memo)
            self._undelivered.discard(path)
        return memo

    async def _deliver(self, memo: Memo) -> None:
        """Wait until it is the memo's turn: all tasks have asked for theirs, and no earlier one is asked for."""
        if self.parking.is_single:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._deliveries[memo.seq] = future
        if not self._is_delivering:
            self._is_delivering = True
            self.parking.when_calm(self._deliver_next)
        try:
            with self.parking.busy():
                await future
        finally:
            self._deliveries.pop(memo.seq, None)

    def _deliver_next(self) -> None:
        waiting = [seq for seq, future in self._deliveries.items() if not future.done()]
        self._is_delivering = bool(waiting)
        if waiting:
            self._deliveries[min(waiting)].set_result(None)
            self.parking.when_calm(self._deliver_next)

    # -- live ---------------------------------------------------------------------------------------------------

    async def _make(self, call: Call) -> Memo:
        """Run the body until it is done for good, over parkings and attempts."""
        wait = self._waits.get(call.path)
        failed = wait.number if wait is not None else 0
        if wait is not None:
            await self._stand_still_for(wait)
        self._is_live = True
        retries = self._conduct.retries if call.retries is None else call.retries
        given = _for_people(call.input)
        while True:
            begun = self._clock.now()
            try:
                value = await self._execute(call)
                text = encode_within(value, self._conduct.max_output_bytes, f"The output of step {call.path!r}")
                if self._bytes + len(text) > self._conduct.max_state_bytes:
                    raise LimitError(f"The run's state is over {self._conduct.max_state_bytes} bytes at {call.path!r}")
            except Exception as error:  # noqa: BLE001  # user code may raise anything
                failed += 1
                delay = next_retry(
                    error, failed=failed, retries=retries, now=self._clock.now(), fixed=self._conduct.retry_delay
                )
                if delay is None or isinstance(error, Uncodable):
                    return await self._done(
                        call.path, call.kind, None, error=_told(error), started_at=begun, attempt=failed, input=given
                    )
                await self._try_again(call.path, error, failed, delay, begun)
            else:
                usage = call.usage(value) if call.usage is not None else Usage()
                return await self._done(
                    call.path, call.kind, text, started_at=begun, attempt=failed + 1, input=given, usage=usage
                )

    async def _execute(self, call: Call) -> Any:
        with self.parking.body(call.path), enter(Scope(self, call.path)):
            if call.timeout is None:
                return await call.body()
            return await asyncio.wait_for(call.body(), call.timeout.total_seconds())

    async def _try_again(self, path: str, error: Exception, failed: int, delay: timedelta, begun: datetime) -> None:
        now = self._clock.now()
        wait = Wait(path=path, kind="retry", number=failed, wake_at=now + delay)
        await self._commit(
            AttemptFailed(
                **self._right(path), number=failed, error=_told(error), started_at=begun, ended_at=now, wait=wait
            )
        )
        if delay:
            await self._stand_still_for(wait)

    async def _register(self, wait: EventWait) -> Wait:
        if wait.name.startswith(RESERVED) and wait.match is not None:
            raise ConfigError(f"Step {wait.path!r}: the platform's event {wait.name!r} cannot be matched on data")
        value = None
        if wait.match is not None:
            found = look_up(wait.match, self.claim.event.export())
            if found is MISSING:
                raise ConfigError(f"Step {wait.path!r}: the run's event has nothing at {wait.match!r} to match on")
            value = encode(found)
        begun = Wait(
            path=wait.path,
            kind="event",
            wake_at=self._clock.now() + wait.timeout,
            event_name=wait.name,
            match_path=wait.match,
            match_value=value,
        )
        try:
            with self.parking.busy():
                registered = await self._loop.run_in_executor(
                    self.executor, lambda: self._store.await_event(self.claim, begun, look_back=wait.since)
                )
        except StoreUnavailable:
            self._leave("onward")
        if registered is None:
            self._leave("lost")
        return registered

    async def _stand_still_for(self, wait: Wait) -> None:
        """Park until a sleep's or retry's time; the link goes on by itself where it lives that long."""
        self.parking.refuse_timeout(wait.path)
        left = (wait.wake_at - self._clock.now()).total_seconds()
        if wait.resolved_at is None and left > 0:
            await self.parking.stand_still(wait.path, left)

    async def _end_link(self, path: str) -> None:
        """End the link here if nothing else executes; the next one goes on from the memo."""
        if self.parking.is_alone(path):
            self._cause = "onward"
            await self.parking.stand_still(path)

    def _outgoing(self, path: str, number: int, event: Event) -> OutgoingEvent:
        checked = check_event(event, self._conduct.max_event_bytes, number)
        if checked.id is not None:
            raise ConfigError(
                f"Step {path!r}: an event sent by a step is sent once under the step's own id; leave id= out"
            )
        return OutgoingEvent(
            id=derived_id("evt", self.claim.run.id, path, str(number)),
            name=checked.name,
            data=encode(checked.data),
            ts=checked.ts,
        )

    # -- commits ------------------------------------------------------------------------------------------------

    def _right(self, path: str) -> Mapping[str, Any]:
        run = self.claim.run
        return {"run_id": run.id, "tenant_id": run.tenant_id, "fence": self.claim.fence, "path": path}

    async def _done(self, path: str, kind: StepKind, value: str | None, *, started_at: datetime, **parts: Any) -> Memo:
        entry = StepDone(
            **self._right(path), kind=kind, value=value, started_at=started_at, ended_at=self._clock.now(), **parts
        )
        seq = await self._commit(entry)
        memo = Memo(path=path, kind=kind, seq=seq, value=value, error=entry.error)
        self._memos[path] = memo
        self._steps += 1
        self._bytes += len(value or "")
        self._on_memo(memo)
        return memo

    async def _commit(self, entry: Entry) -> int:
        if self.parking.is_over:
            raise Suspended  # what user code made of the ending itself is no result and no error of the step
        try:
            with self.parking.busy():
                seq = await self._journal.commit(entry)
        except StoreUnavailable:
            self._leave("onward")
        if seq is None:
            self._leave("lost")
        return seq

    def _leave(self, cause: Cause) -> NoReturn:
        """End the link past all user code: the run is another link's by now, or the database does not answer."""
        self.interrupt(cause)
        raise Suspended

    def _quiet(self) -> None:
        if not self.ended.done():
            self.parking.is_over = True
            self.ended.set_result(self._cause)


def _too_many_steps(most: int) -> NoReturn:
    raise LimitError(f"The run has {most} steps, the most it may have; split it, or raise CELERIAC_MAX_STEPS")


def _told(error: Exception) -> str:
    """Return an error as it is stored: name and message, never a stack trace."""
    if isinstance(error, StepError):
        name, message = error.error_name, error.detail
    else:
        name, message = type(error).__name__, str(error)
    return encode({"name": name, "message": storable(message)[:10_000]})


def _for_people(given: Any) -> str | None:
    """Return a step's input as JSON text; what has no JSON form as its repr, as nobody reads it back."""
    if given is None:
        return None
    try:
        text = encode(given)
    except Uncodable:
        text = encode(storable(repr(given)[:1000]))
    return text if len(text) <= 256 * 1024 else encode(text[: 64 * 1024] + " …")
