"""The engine: advances a run by one link.

`advance` is the only way in: for a fresh run, a woken one, and one whose worker died. It claims the run, loads what it
remembers, executes on the loop, and makes true what came of it. Only the engine changes a run.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from celeriac.clock import Clock
from celeriac.errors import InvalidEventError, StoreUnavailable
from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.durable.cache import Cache
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.ending import deferred_event, ending_event
from celeriac.platform.durable.execution import Outcome, execute, failed
from celeriac.platform.durable.journal import Journal
from celeriac.platform.durable.kernel import DurableKernel
from celeriac.platform.durable.link_log import log_end
from celeriac.platform.durable.link_slots import ASKED_AFTER, LinkSlots, in_flight
from celeriac.platform.durable.memo import Memo, OutgoingEvent, Wait
from celeriac.platform.durable.parking import Cause
from celeriac.platform.durable.patience import PATIENCE_SECONDS, patiently
from celeriac.platform.durable.poison import Quarantine
from celeriac.platform.durable.registry import Registry
from celeriac.platform.durable.store import Claim, ClaimWish, End, Ending, Link, Store
from celeriac.platform.event import INVOKED
from celeriac.platform.flow.gate import Queued
from celeriac.platform.flow.meter import Meter
from celeriac.platform.streams.outlet import OfLink
from celeriac.platform.streams.stream import Stream
from celeriac.platform.streams.writer import ChunkWriter, closing

log = logging.getLogger(__name__)

T = TypeVar("T")

#: the causes by which a run ends, which are statuses too
_ENDS = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class _Active:
    claim: Claim
    kernel: DurableKernel | None
    #: False while the gate is asked for them
    has_slots: bool = True


@dataclass
class _Begun:
    """A link that was claimed, with its outcome where it was executed already."""

    claim: Claim
    #: whether the gate lets it execute: its slots are there
    is_admitted: bool = True
    outcome: Outcome | None = None
    fresh: list[Memo] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the run has ended with this link."""
        return self.outcome is not None and self.outcome.cause in _ENDS


class Engine:
    """Advances runs in this process; `advance` blocks and is called from any thread but the loop's."""

    def __init__(
        self,
        registry: Registry,
        *,
        store: Store,
        cache: Cache,
        dispatcher: Dispatcher,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        executor: Executor,
        bodies: BodyThreads,
        worker_id: str,
        meter: Meter | None = None,
        stream: Stream | None = None,
    ) -> None:
        """Work as `worker_id`; user code runs on `loop`, its plain functions in `bodies`.

        What the engine itself waits for is done in `executor`: plain functions that block hold up no other run. The
        `meter` tells when models may be called; without one they may at any time. What runs tell goes to `stream`.
        """
        self.chunks = None if stream is None else ChunkWriter(stream)
        self._meter = meter
        self.worker_id = worker_id
        self.is_draining = False
        #: whether this worker was silent for so long that it has to be heard before it may claim
        self.is_silent: Callable[[], bool] = lambda: False
        self._registry = registry
        self._store, self._cache, self._dispatcher = store, cache, dispatcher
        self._clock, self._loop = clock, loop
        self._executor, self._bodies = executor, bodies
        # The id is read at each try: after an outage this worker may have joined anew under another one.
        self._journal = Journal(store, worker_id=self._living_id, patience=PATIENCE_SECONDS)
        #: by run and fence: a worker that was judged dead may execute a late link beside the one that has the run
        self._active: dict[tuple[str, int], _Active] = {}
        self._quarantine = Quarantine()
        self._slots = LinkSlots(store, dispatcher)

    def advance(self, run_id: str, link: Link) -> bool:
        """Execute one link of the run; return whether its next link is to follow on the same chain.

        A run that is not queued is left alone: its message was old or doubled.
        """
        begun = self._on_loop(self._begin(ClaimWish(run_id=run_id, link=link)))
        if begun is None:
            if link.fence is not None:
                self._slots.give_back_unclaimed(run_id, link.fence)
            return False
        claim, onward = begun.claim, None
        try:
            if not begun.is_admitted:
                self._dispatcher.dispatch(self._slots.turn_back(claim))
            elif claim.suspicion and not self._quarantine.try_enter(run_id, claim.suspicion):
                self._defer(claim)
            else:
                onward = self._settle(begun)
        finally:
            self._active.pop((run_id, claim.fence), None)
            self._leave_quarantine(claim)
            goes_on = onward is not None and self._dispatcher.proceed(onward)
            ended = () if onward is not None else (in_flight(claim, is_over=begun.is_over),)
            self._dispatcher.send_picked(claim.queue, ended=ended)
        return goes_on

    def close(self) -> None:
        """Commit and tell what waits, and stop."""
        self._journal.close()
        if self.chunks is not None:
            self.chunks.close()

    # -- for the worker's heartbeat -----------------------------------------------------------------------------

    def executing(self) -> list[Queued]:
        """Return the runs whose links execute now, each under the fence of its claim."""
        return [in_flight(active.claim) for active in list(self._active.values())]

    def holding(self) -> list[Queued]:
        """Return those of them that hold their slots: who renewed those of others would take what is not free."""
        return [in_flight(active.claim) for active in list(self._active.values()) if active.has_slots]

    def cancel(self, run_ids: Sequence[str]) -> None:
        """End these runs if they execute here: their bodies are aborted, and they become cancelled."""
        self._interrupt(run_ids, "cancelled")

    def abandon(self) -> None:
        """Let go of all runs: this worker was judged dead, and others may have them."""
        self._interrupt([run_id for run_id, _ in list(self._active)], "lost")

    def _interrupt(self, run_ids: Sequence[str], cause: Cause) -> None:
        for (run_id, _), active in list(self._active.items()):
            if run_id in run_ids and active.kernel is not None:
                self._loop.call_soon_threadsafe(active.kernel.interrupt, cause)

    # -- one link -----------------------------------------------------------------------------------------------

    def _living_id(self) -> str:
        """Return the id to claim under; raise `StoreUnavailable` while this worker may have been judged."""
        if self.is_silent():
            raise StoreUnavailable("This worker was silent for too long; it claims when it is heard again")
        return self.worker_id

    async def _begin(self, wish: ClaimWish) -> _Begun | None:
        """Claim the run and, where it remembers nothing yet and is no suspect, execute its link at once."""
        claim = await self._journal.claim(wish)
        if claim is None:
            return None
        begun, place = _Begun(claim), (claim.run.id, claim.fence)
        is_asked = claim.queued_for > ASKED_AFTER
        self._active[place] = _Active(claim, None, has_slots=not is_asked)
        if is_asked:
            begun.is_admitted = await self._loop.run_in_executor(self._executor, self._slots.admits, claim)
            self._active[place] = _Active(claim, None, has_slots=begun.is_admitted)
        if begun.is_admitted and not (claim.steps or claim.waits or claim.suspicion):
            begun.outcome = await self._execute(claim, [], [], begun.fresh)
        return begun

    def _defer(self, suspect: Claim) -> None:
        """Let a suspect that may not execute yet stand queued, so that no death counts for it."""
        queued = patiently(self._store.give_back, suspect.run.id, suspect.fence)
        if queued is not None:
            self._quarantine.wait(suspect.suspicion, queued)

    def _leave_quarantine(self, claim: Claim) -> None:
        """Send for the suspects that may execute now."""
        if claim.suspicion:
            self._dispatcher.dispatch(self._quarantine.leave(claim.run.id))

    def _settle(self, begun: _Begun) -> Queued | None:
        """Execute until an outcome holds; a wake in the instant of parking means to replay once more."""
        held: Claim | None = begun.claim
        outcome = begun.outcome
        while held is not None:
            if outcome is None:
                outcome = self._replay(held, begun.fresh)
            begun.outcome = outcome
            log_end(held, outcome)
            if outcome.cause in ("parked", "onward", "put_back"):
                self._remember(held, begun.fresh)
            match outcome.cause:
                case "parked":
                    if patiently(self._store.park, held, reason=outcome.reason):
                        return None
                    held, outcome = patiently(self._store.refresh, held), None
                    begun.fresh.clear()
                case "onward":
                    return patiently(self._store.requeue, held)
                case "put_back":
                    # Reconcile brings it to its lane, for a worker that has its function.
                    self._slots.turn_back(held)
                    return None
                case _:
                    return None
        return None

    def _replay(self, claim: Claim, fresh: list[Memo]) -> Outcome:
        """Load what the run remembers and execute it."""
        try:
            memos = self._load(claim)
            waits = self._store.waits(claim) if claim.waits else []
        except StoreUnavailable:
            return Outcome(cause="onward")
        try:
            return self._on_loop(self._execute(claim, memos, waits, fresh))
        except CancelledError:
            log.warning("Run %s lost its loop, which is being closed; another link takes it up", claim.run.id)
            return Outcome(cause="onward")

    async def _execute(self, claim: Claim, memos: Sequence[Memo], waits: Sequence[Wait], fresh: list[Memo]) -> Outcome:
        """Execute once; whatever breaks in the engine itself ends in an outcome, so that no run is left hanging."""
        try:
            outcome = await self._run(claim, memos, waits, fresh)
            if outcome.cause in _ENDS:
                try:
                    is_kept = await self._finish(claim, outcome)
                except StoreUnavailable:
                    raise
                except Exception as error:
                    log.exception("The end of run %s could not be kept", claim.run.id)
                    outcome = _broken(error)
                    is_kept = await self._finish(claim, outcome)
                return outcome if is_kept else Outcome(cause="lost")
            return outcome
        except StoreUnavailable:
            log.warning("Run %s lost its database; another link takes it up", claim.run.id)
            return Outcome(cause="onward")
        except Exception:
            log.exception("Run %s cannot be ended; reconcile gives it to another link", claim.run.id)
            return Outcome(cause="lost")

    async def _run(self, claim: Claim, memos: Sequence[Memo], waits: Sequence[Wait], fresh: list[Memo]) -> Outcome:
        if claim.cancel_requested:
            return Outcome(cause="cancelled")
        function = self._registry.functions.get(f"{claim.run.app}/{claim.run.function_id}")
        if function is None:
            # Another deploy's, or another app's on the same queue: it waits for a worker that has it.
            log.warning("Run %s waits: this worker does not have function %r", claim.run.id, claim.run.function_id)
            return Outcome(cause="put_back")
        try:
            kernel = DurableKernel(
                claim,
                memos,
                waits,
                store=self._store,
                journal=self._journal,
                clock=self._clock,
                conduct=self._registry.conduct(function),
                executor=self._executor,
                bodies=self._bodies,
                on_memo=lambda memo: self._note(claim, memo, fresh),
                on_sent=self._match_soon,
                dispatch=self._dispatcher.dispatch,
                is_draining=lambda: self.is_draining,
                meter=self._meter,
                outlet=None if self.chunks is None else OfLink(self.chunks, claim.run, claim.fence),
            )
            self._active[claim.run.id, claim.fence] = _Active(claim, kernel)
            event = self._registry.read_event(claim.event)
            return await execute(kernel, function, event, lambda ctx: self._registry.equip(function, ctx))
        except InvalidEventError as error:
            return failed(error)
        except StoreUnavailable:
            raise
        except Exception as error:
            log.exception("The engine failed in run %s", claim.run.id)
            return _broken(error)

    def _note(self, claim: Claim, memo: Memo, fresh: list[Memo]) -> None:
        """Keep a new memo for the cache; a suspect that commits a step is past what it was suspected for."""
        fresh.append(memo)
        if claim.suspicion:
            self._executor.submit(self._leave_quarantine, claim)

    def _load(self, claim: Claim) -> list[Memo]:
        if not claim.steps:
            return []
        cached = self._cache.load(claim.run.tenant_id, claim.run.id, claim.steps)
        if cached is not None:
            return sorted((Memo.decode(text) for text in cached), key=lambda memo: memo.seq)
        memos = self._store.memos(claim)
        self._remember(claim, memos)
        return memos

    def _remember(self, claim: Claim, memos: Sequence[Memo]) -> None:
        if memos:
            self._cache.save(claim.run.tenant_id, claim.run.id, {memo.path: memo.encode() for memo in memos})

    async def _finish(self, claim: Claim, outcome: Outcome) -> bool:
        """End the run; False where another link has it by now."""
        ending = Ending(
            status=outcome.cause,  # type: ignore[arg-type]  # the causes that come here are statuses
            reason=await self._why_cancelled(claim) if outcome.cause == "cancelled" else outcome.reason,
            output=outcome.output,
            error_code=outcome.error_code,
            error_message=outcome.error_message,
        )
        output = None if outcome.output is None else json.loads(outcome.output)
        ended = replace(claim.run, status=ending.status, reason=ending.reason, error=outcome.error, output=output)
        event, deferred = ending_event(ended, claim.event), await self._deferred(claim)
        if not await self._journal.finish(End(claim=claim, ending=ending, event=event, deferred=deferred)):
            return False
        if self.chunks is not None and ending.status != "completed":
            self.chunks.write(closing(ended, claim.fence, self._clock.now()))
        if claim.steps:  # else nothing was ever cached
            self._executor.submit(self._cache.forget, claim.run.tenant_id, claim.run.id)
        if deferred or claim.event.name == INVOKED:  # somebody waits for it; all others are told in their time
            self._match_soon([event.id, *(one.id for one in deferred)])
        return True

    async def _deferred(self, claim: Claim) -> tuple[OutgoingEvent, ...]:
        active = self._active.get((claim.run.id, claim.fence))
        if active is not None and active.kernel is not None:
            kept = active.kernel.deferred
        else:
            memos = await self._loop.run_in_executor(self._executor, self._load, claim) if claim.steps else []
            kept = [memo for memo in memos if memo.kind == "defer"]
        return tuple(deferred_event(claim.run.id, memo.path, json.loads(memo.value or "null")) for memo in kept)

    async def _why_cancelled(self, claim: Claim) -> str:
        held = await self._loop.run_in_executor(self._executor, self._store.refresh, claim)
        return (held.cancel_reason if held is not None else None) or "cancelled"

    def _on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _match_soon(self, event_ids: Sequence[str]) -> None:
        """Start what the events of a step start; they are committed, so that reconcile finds them if this fails."""

        def match() -> None:
            try:
                self._dispatcher.follow(self._store.match_pending(event_ids))
            except StoreUnavailable:
                log.warning("The events %s are matched later: the database does not answer", list(event_ids))
            except Exception:
                log.exception("The events %s could not be matched; the timers try again", list(event_ids))

        self._executor.submit(match)


def _broken(error: Exception) -> Outcome:
    """Return how a run ends in which the engine itself broke."""
    message = f"Celeriac itself failed with {type(error).__name__}; the worker's log says where"
    return Outcome(cause="failed", reason="error", error_code="engine", error_message=message)
