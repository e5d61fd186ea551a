"""What goes out of a run: events, signals, and the runs of other functions that it starts.

Ids are derived from the run and the step's path, so that what a crash repeats is sent once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from celeriac.errors import ConfigError, LimitError, StoreUnavailable
from celeriac.ids import derived_id
from celeriac.platform.codec import encode, encode_within, plain
from celeriac.platform.durable.event_check import check_event
from celeriac.platform.durable.memo import OutgoingEvent
from celeriac.platform.durable.record import Record, value_of
from celeriac.platform.durable.store import Store
from celeriac.platform.event import INVOKED, Event
from celeriac.platform.flow.gate import Queued

_MOST_DEFERRED = 20
_MOST_DEFERRED_BYTES = 4 * 1024 * 1024


class Outgoing:
    """What the steps of one link send."""

    def __init__(
        self,
        record: Record,
        store: Store,
        on_sent: Callable[[Sequence[str]], None],
        dispatch: Callable[[Sequence[Queued]], None],
    ) -> None:
        """Tell of events that were committed by `on_sent`; `dispatch` sends runs on their way that a signal woke."""
        self._record, self._store = record, store
        self._on_sent, self._dispatch = on_sent, dispatch

    async def events(self, path: str, events: Sequence[Event]) -> list[str]:
        """Send events in the transaction that commits the step."""
        memo = await self._record.recall(path)
        if memo is None:
            outgoing = tuple(self._checked(path, number, event) for number, event in enumerate(events))
            ids = [event.id for event in outgoing]
            now = self._record.clock.now()
            memo = await self._record.done(path, "send", encode(ids), started_at=now, events=outgoing)
            self._on_sent(ids)
        value: list[str] = value_of(memo)
        return value

    async def signal(self, path: str, signal: str, data: Any) -> bool:
        """Give a signal before the step is committed: the store gives it once, and answers again as it did then."""
        memo = await self._record.recall(path)
        if memo is None:
            run, now = self._record.claim.run, self._record.clock.now()
            text = encode_within(data, self._record.conduct.max_event_bytes, f"The data of step {path!r}")
            id, sent = derived_id("evt", run.id, path, "signal"), json.loads(text)

            def give() -> bool:
                signalled = self._store.signal(run.tenant_id, signal, sent, id=id)
                self._dispatch(signalled.queued)
                return signalled.is_awaited

            try:
                is_awaited = await self._record.in_thread(give)
            except StoreUnavailable:
                self._record.parking.leave("onward")
            given = encode({"signal": signal, "data": sent})
            memo = await self._record.done(path, "send", encode(is_awaited), input=given, started_at=now)
        return bool(value_of(memo))

    async def defer(self, path: str, target: str, data: Any) -> None:
        """Remember what is to start once the run has ended; whoever ends it sends it then."""
        if await self._record.recall(path) is not None:
            return
        deferred = self._record.deferred
        text = object_text(path, data, self._record.conduct.max_event_bytes)
        if len(deferred) >= _MOST_DEFERRED:
            raise LimitError(f"Step {path!r}: a run defers at most {_MOST_DEFERRED} runs; send an event to one for all")
        if sum(len(memo.value or "") for memo in deferred) + len(text) > _MOST_DEFERRED_BYTES:
            raise LimitError(f"Step {path!r}: a run defers at most {_MOST_DEFERRED_BYTES} bytes of data in all")
        value = encode({"target": target, "data": json.loads(text)})
        await self._record.done(path, "defer", value, started_at=self._record.clock.now())

    def _checked(self, path: str, number: int, event: Event) -> OutgoingEvent:
        checked = check_event(event, self._record.conduct.max_event_bytes, number)
        if checked.id is not None:
            raise ConfigError(
                f"Step {path!r}: an event sent by a step is sent once under the step's own id; leave id= out"
            )
        return OutgoingEvent(
            id=derived_id("evt", self._record.claim.run.id, path, str(number)),
            name=checked.name,
            data=encode(checked.data),
            ts=checked.ts,
        )


def invoked_event(run_id: str, path: str, target: str, data: str) -> OutgoingEvent:
    """Return the event that starts the run which a step invokes; `data` is JSON text."""
    return OutgoingEvent(id=derived_id("evt", run_id, path, "invoked"), name=INVOKED, data=data, target=target)


def run_of_invoked(event: OutgoingEvent) -> str:
    """Return the id of the run that the event starts: known before it is there."""
    app, _, function_id = (event.target or "").partition("/")
    return derived_id("run", event.id, app, function_id)


def object_text(path: str, data: Any, most_bytes: int) -> str:
    """Return the JSON text of what is given to another function; raise `ConfigError` where it is no object."""
    given = plain({} if data is None else data)
    if not isinstance(given, dict):
        raise ConfigError(f"Step {path!r}: what is given to a function is an object, as the data of an event is")
    return encode_within(given, most_bytes, f"The data of step {path!r}")
