"""Waiting: the verbs that stand still, until a time, an event, a signal, or the end of another run.

Each is a Wait, committed when its branch reaches it, and a memo once it is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from celeriac.errors import ConfigError, ConflictError, StoreUnavailable
from celeriac.platform.codec import encode
from celeriac.platform.durable.listening import Listening
from celeriac.platform.durable.memo import Memo, Wait
from celeriac.platform.durable.outgoing import invoked_event, object_text, run_of_invoked
from celeriac.platform.durable.record import Record, told, told_as, value_of
from celeriac.platform.durable.store import Store
from celeriac.platform.event import RESERVED, Event, ended_name, signal_name
from celeriac.platform.expression import MISSING, look_up
from celeriac.platform.kernel import EventWait, Invocation, SignalWait


class Waiting:
    """The waits of one link."""

    def __init__(self, record: Record, store: Store, on_sent: Callable[[Sequence[str]], None]) -> None:
        """Tell of events that were committed by `on_sent`."""
        self._record, self._store, self._on_sent = record, store, on_sent
        self._listening = Listening(record, store)
        self._waits = record.replay.waits

    async def until(self, path: str, until: timedelta | datetime) -> None:
        """Stand still; the time is fixed by the commit of the wait, so that a crash does not start it anew."""
        if await self._record.recall(path) is not None:
            return
        now = self._record.clock.now()
        wait = self._waits.get(path)
        if wait is None:
            wake_at = until if isinstance(until, datetime) else now + until
            wait = await self._record.begin(Wait(path=path, kind="sleep", wake_at=wake_at))
        await self.stand_still(wait)
        begun = wait.wake_at - until if isinstance(until, timedelta) else min(now, wait.wake_at)
        await self._record.done(path, "sleep", "null", started_at=begun)

    async def for_event(self, wanted: EventWait) -> Event | None:
        """Stand still until the event comes. The wait is registered in a transaction of its own (see the store)."""
        memo = await self._recall(wanted.path)
        if memo is None:
            wait = self._waits.get(wanted.path) or await self._register(self._event_wait(wanted), wanted.since)
            wait = await self._over(wait)
            begun = (wait.since or self._record.clock.now()) + (wanted.since or timedelta(0))
            memo = await self._record.done(wanted.path, "event", wait.event or "null", started_at=begun)
        data = value_of(memo)
        if data is None:
            return None
        ts = datetime.fromisoformat(data["ts"]) if data.get("ts") else None
        return Event(data["name"], data.get("data"), id=data.get("id"), ts=ts)

    async def for_signal(self, wanted: SignalWait) -> Any:
        """Stand still until the signal is given; the step fails while another wait has it."""
        memo = await self._recall(wanted.path)
        if memo is None:
            now = self._record.clock.now()
            wait = Wait(
                path=wanted.path, kind="signal", wake_at=now + wanted.timeout, event_name=signal_name(wanted.signal)
            )
            try:
                wait = await self._over(self._waits.get(wanted.path) or await self._register(wait))
            except ConflictError as error:
                memo = await self._record.done(wanted.path, "signal", None, error=told(error), started_at=now)
            else:
                data = None if wait.event is None else json.loads(wait.event)["data"]["data"]
                begun = wait.since or now
                memo = await self._record.done(wanted.path, "signal", encode(data), started_at=begun)
        return value_of(memo)

    async def for_run(self, wanted: Invocation) -> Any:
        """Start a run and stand still until it ends: the event that starts it is committed with the wait."""
        memo = await self._recall(wanted.path)
        if memo is None:
            now = self._record.clock.now()
            text = object_text(wanted.path, wanted.data, self._record.conduct.max_event_bytes)
            event = invoked_event(self._record.claim.run.id, wanted.path, wanted.target, text)
            child = run_of_invoked(event)
            wait = self._waits.get(wanted.path)
            if wait is None:
                until = now + wanted.timeout
                wait = Wait(path=wanted.path, kind="invoke", wake_at=until, event_name=ended_name(child))
                wait = await self._record.begin(wait, [event])
                self._on_sent([event.id])
            wait = await self._over(wait)
            given = encode({"function": wanted.target, "run_id": child, "data": json.loads(text)})
            memo = await self._ended(wanted.path, wait, given, wait.wake_at - wanted.timeout)
        return value_of(memo)

    async def for_placed(self, path: str) -> Memo:
        """Stand still until a process of another queue has committed the step, and take up its memo."""
        self._record.parking.refuse_timeout(path)
        return await self._record.adopt(await self._listening.until_remembered(path))

    async def stand_still(self, wait: Wait) -> None:
        """Park until a sleep's or retry's time; the link goes on by itself where it lives that long."""
        self._record.parking.refuse_timeout(wait.path)
        await self._rest(wait)

    async def be_held(self, wait: Wait) -> None:
        """Park as `stand_still` does, also inside a time limit: it stands still as long as somebody else's limit says.

        A run that parks meanwhile comes back to the beginning of what is limited, and its time begins anew.
        """
        with self._record.parking.time_limits_stopped():
            await self._rest(wait)

    async def _rest(self, wait: Wait) -> None:
        left = (wait.wake_at - self._record.clock.now()).total_seconds()
        if wait.resolved_at is None and left > 0:
            await self._record.parking.stand_still(wait.path, left)

    async def _over(self, wait: Wait) -> Wait:
        """Return the wait when it is over."""
        return wait if wait.resolved_at is not None else await self._listening.until_over(wait)

    async def _recall(self, path: str) -> Memo | None:
        memo = await self._record.recall(path)
        if memo is None:
            self._record.parking.refuse_timeout(path)
        return memo

    def _event_wait(self, wanted: EventWait) -> Wait:
        value = None
        if wanted.match is not None:
            if wanted.name.startswith(RESERVED):
                raise ConfigError(
                    f"Step {wanted.path!r}: the platform's event {wanted.name!r} has nothing of the run's own event to "
                    "match; use if_="
                )
            found = look_up(wanted.match, self._record.claim.event.export())
            if found is MISSING:
                raise ConfigError(f"Step {wanted.path!r}: the run's event has nothing at {wanted.match!r} to match on")
            value = encode(found)
        return Wait(
            path=wanted.path,
            kind="event",
            wake_at=self._record.clock.now() + wanted.timeout,
            event_name=wanted.name,
            match_path=wanted.match,
            match_value=value,
            condition=wanted.condition,
        )

    async def _register(self, wait: Wait, look_back: timedelta | None = None) -> Wait:
        claim = self._record.claim
        try:
            registered = await self._record.in_thread(lambda: self._store.await_event(claim, wait, look_back=look_back))
        except StoreUnavailable:
            self._record.parking.leave("onward")
        if registered is None:
            self._record.parking.leave("lost")
        self._waits[wait.path] = registered
        return registered

    async def _ended(self, path: str, wait: Wait, given: str, begun: datetime) -> Memo:
        """Commit what became of an invoked run."""
        value, error = None, None
        ending = None if wait.event is None else json.loads(wait.event)["data"]
        match ending:
            case None:
                error = told_as("TimeoutError", "The invoked run has not ended within the timeout; it goes on")
            case {"status": "completed"}:
                value = encode(ending["output"])
                if too_much := self._record.excess(path, value):
                    value, error = None, told(too_much)
            case {"status": "failed", "error": {"code": code, "message": message}}:
                error = told_as(code, message)
            case _:
                why = f"The invoked run was {ending['status']}: {ending.get('reason')}"
                if retry_at := ending.get("retry_at"):
                    why = f"{why}; the next may begin at {retry_at}"
                error = told_as(ending["status"], why)
        return await self._record.done(path, "invoke", value, error=error, input=given, started_at=begun)
