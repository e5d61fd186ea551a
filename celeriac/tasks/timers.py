"""The timers: what becomes due, ten times a second, on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.store import Store


@dataclass(frozen=True)
class Timers:
    """Wakes, starts and ends what is due, matches what steps sent, and lets the gate pick what is allowed by now."""

    store: Store
    dispatcher: Dispatcher
    queues: Sequence[str]

    def run_once(self) -> int:
        """Do one round."""
        store, due = self.store, self.store.due()
        changed = 0
        for ingested in (store.fire_crons() if due.crons else None, store.match_pending() if due.events else None):
            if ingested is not None:
                self.dispatcher.follow(ingested)
                changed += len(ingested.queued)
        woken = [*(store.wake_due() if due.waits else ()), *(store.wake_placed() if due.placed else ())]
        self.dispatcher.dispatch(woken)
        expired = store.expire() if due.deadlines else []
        self.dispatcher.forget([run.id for run in expired if run.status == "cancelled"])
        sent = sum(self.dispatcher.send_picked(queue) for queue in self.queues)
        return changed + len(woken) + len(expired) + sent
