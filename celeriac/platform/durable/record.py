"""The record: what one link of a run finds remembered, and what it comes to remember.

All verbs go through it: they recall a step, and commit the entry of a new one through the journal before the caller
sees it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from celeriac.clock import Clock
from celeriac.errors import ContextError, LimitError, StepError, StoreUnavailable
from celeriac.platform.codec import encode, storable
from celeriac.platform.durable.conduct import Conduct
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
)
from celeriac.platform.durable.order import ORDER, order_wait
from celeriac.platform.durable.parking import Parking, Suspended
from celeriac.platform.durable.patience import patiently
from celeriac.platform.durable.replay import Replay
from celeriac.platform.durable.store import Claim
from celeriac.platform.message import NOTHING, Usage

T = TypeVar("T")


class Record:
    """Recalls and commits the steps of one run under one claim."""

    def __init__(
        self,
        claim: Claim,
        replay: Replay,
        parking: Parking,
        *,
        journal: Journal,
        clock: Clock,
        conduct: Conduct,
        executor: Executor,
        on_memo: Callable[[Memo], None],
    ) -> None:
        """Tell of new memos by `on_memo`."""
        self.claim, self.replay, self.parking = claim, replay, parking
        self.clock, self.conduct, self.executor = clock, conduct, executor
        self._journal, self._on_memo = journal, on_memo
        self._loop = asyncio.get_running_loop()
        self.steps = len(replay.memos)
        self.bytes = sum(len(memo.value or "") for memo in replay.memos.values())
        #: what branches do in threads; it goes on where the branch is dropped
        self._under_way: set[Future[Any]] = set()
        #: what is to start once the run has ended
        self.deferred = [memo for memo in replay.memos.values() if memo.kind == "defer"]

    async def recall(self, path: str) -> Memo | None:
        """Return the step's memo in its turn; None where it is to be made now."""
        memo = self.come_to(path)
        if memo is not None:
            await self.replay.deliver(memo)
        elif self.parking.is_single:
            await self._keep_order(path)
        return memo

    def come_to(self, path: str) -> Memo | None:
        """Return the step's memo at once, before its turn; raise `LimitError` for one step too many."""
        if asyncio.get_running_loop() is not self._loop:
            raise ContextError(
                f"Step {path!r} was called on another loop than its run's; in a plain `def` call agent.run_sync(…) "
                "and not asyncio.run"
            )
        if self.parking.is_over:
            raise Suspended
        memo = self.replay.ask(path)
        if memo is None and self.steps >= self.conduct.max_steps:
            most = self.conduct.max_steps
            raise LimitError(f"The run has {most} steps, the most it may have; split it, or raise CELERIAC_MAX_STEPS")
        return memo

    async def _keep_order(self, path: str) -> None:
        """Stand still before a new step where the code, one line at the moment, has passed over remembered ones."""
        known = self.replay.waits.get(ORDER)
        since = known.number if known is not None and known.resolved_at is not None else 0
        if not self.replay.passed_over(path, since=since):
            return
        if known is None or known.resolved_at is not None:
            await self.begin(order_wait(self.claim.run.id, self.steps, self.clock.now()))
        self.parking.is_out_of_order = True
        await self.parking.stand_still(path)

    def excess(self, path: str, text: str) -> LimitError | None:
        """Return the error of a value that the run's state has no room for."""
        most = self.conduct.max_state_bytes
        if self.bytes + len(text) <= most:
            return None
        return LimitError(f"The run's state is over {most} bytes at {path!r}")

    # -- commits ------------------------------------------------------------------------------------------------

    def right(self, path: str) -> Mapping[str, Any]:
        """Return what an entry names its right by."""
        run = self.claim.run
        return {"run_id": run.id, "tenant_id": run.tenant_id, "fence": self.claim.fence, "path": path}

    async def done(self, path: str, kind: StepKind, value: str | None, *, started_at: datetime, **parts: Any) -> Memo:
        """Commit the end of a step and return its memo, in its turn."""
        disorder = self.replay.waits.get(ORDER)
        if disorder is not None and disorder.resolved_at is None and not self.parking.is_out_of_order:
            del self.replay.waits[ORDER]
            parts["closes"] = (*parts.get("closes", ()), ORDER)
        entry = StepDone(
            **self.right(path), kind=kind, value=value, started_at=started_at, ended_at=self.clock.now(), **parts
        )
        await self.commit(entry)
        memo = self.replay.memos[path]
        await self.replay.deliver(memo)
        return memo

    async def adopt(self, memo: Memo) -> Memo:
        """Take up a memo that another process has committed, in its turn."""
        self._keep(memo)
        await self.replay.deliver(memo)
        return memo

    async def begin(self, wait: Wait, events: Sequence[OutgoingEvent] = ()) -> Wait:
        """Commit that a branch has reached a wait, with events that are sent for it."""
        await self.commit(WaitBegun(**self.right(wait.path), wait=wait, events=tuple(events)))
        return wait

    async def commit(self, entry: Entry) -> None:
        """Commit an entry. A branch that is cancelled meanwhile ends when it is known what has become of it."""
        if self.parking.is_over:
            raise Suspended  # what user code made of the ending itself is no result and no error of the step
        answer: _Answer[int | None] = _Answer(self.parking)
        try:
            with self.parking.busy(), suppress(StoreUnavailable):  # it stands in the answer
                await self._journal.commit(entry, answer)
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled():
                self._take(entry, answer)
            raise
        self._take(entry, answer)

    async def in_thread(self, fn: Callable[[], T]) -> T:
        """Do the engine's own work of a branch in a thread; as with a commit, nothing of it is left half known.

        While the database does not answer it is tried again, so that the bodies of other branches go on.
        """
        answer: _Answer[T] = _Answer(self.parking)
        work = self.executor.submit(patiently, fn)
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        work.add_done_callback(lambda done: _tell(self._loop, answer, done))
        try:
            with self.parking.busy():
                return await answer
        except StoreUnavailable:
            self.parking.leave("onward")
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled():
                answer.exception()  # looked at, so that asyncio does not report it
            raise

    async def settled(self) -> None:
        """Wait until nothing of what branches began in threads is under way.

        The end of a run closes its waits: one that came a moment later would be open for ever.
        """
        while self._under_way:
            await asyncio.wait([asyncio.wrap_future(work) for work in tuple(self._under_way)])

    def _take(self, entry: Entry, answer: asyncio.Future[int | None]) -> None:
        if isinstance(answer.exception(), StoreUnavailable):
            self.parking.leave("onward")
        seq = answer.result()
        if seq is None:
            self.parking.leave("lost")
        if isinstance(entry, StepDone):
            memo = Memo(path=entry.path, kind=entry.kind, seq=seq, value=entry.value, error=entry.error)
            self._keep(memo)
        elif isinstance(entry, AttemptFailed | WaitBegun):
            self.replay.waits[entry.wait.path] = entry.wait

    def _keep(self, memo: Memo) -> None:
        self.replay.keep(memo)
        self.steps += 1
        self.bytes += len(memo.value or "")
        if memo.kind == "defer":
            self.deferred.append(memo)
        self._on_memo(memo)


class _Answer(asyncio.Future[T]):
    """What the engine is told of its own work: a branch that awaits it cannot be cancelled while the link goes on.

    asyncio raises the cancellation once it is there.
    """

    def __init__(self, parking: Parking) -> None:
        super().__init__()
        self._parking = parking

    def cancel(self, msg: Any | None = None) -> bool:
        return self._parking.is_over and super().cancel(msg)


def _tell(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T], done: Future[T]) -> None:
    def resolve() -> None:
        if answer.done():
            return
        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        else:
            answer.set_exception(error)

    with suppress(RuntimeError):  # where the loop has ended, its runs have as well
        loop.call_soon_threadsafe(resolve)


def value_of(memo: Memo) -> Any:
    """Return the remembered value as plain JSON; raise `StepError` where an error is remembered."""
    if memo.error is not None:
        error = json.loads(memo.error)
        raise StepError(memo.path, error["name"], error["message"], error.get("usage"))
    return json.loads(memo.value or "null")


def told(error: Exception, spent: Usage | None = None) -> str:
    """Return an error as it is stored: name and message, never a stack trace, and what was used until it came."""
    if isinstance(error, StepError):
        return told_as(error.error_name, error.detail, spent)
    return told_as(type(error).__name__, str(error), spent)


def told_as(name: str, message: str, spent: Usage | None = None) -> str:
    """Return an error of this name as it is stored."""
    used = {} if spent in (None, NOTHING) else {"usage": spent.export()}
    return encode({"name": name, "message": storable(message)[:10_000], **used})
