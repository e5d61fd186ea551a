"""The timers: what becomes due, ten times a second, on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.store import Store


@dataclass(frozen=True)
class Timers:
    """Wakes what is due, matches what steps sent, and lets the gate pick what slots and tokens allow by now."""

    store: Store
    dispatcher: Dispatcher
    queues: Sequence[str]

    def run_once(self) -> int:
        """Do one round."""
        woken = [*self.store.match_pending().queued, *self.store.wake_due()]
        self.dispatcher.dispatch(woken)
        sent = sum(self.dispatcher.send_picked(queue) for queue in self.queues)
        return len(woken) + sent
