"""The timers: what becomes due, ten times a second, on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.store import Store


#: crons and deadlines are looked at in each of so many rounds
_SLOW_ROUNDS = 5


@dataclass
class Timers:
    """Wakes, starts and ends what is due, matches what steps sent, and lets the gate pick what is allowed by now."""

    store: Store
    dispatcher: Dispatcher
    queues: Sequence[str]
    _rounds: int = 0

    def run_once(self) -> int:
        """Do one round."""
        changed = self._start_and_end() if self._rounds % _SLOW_ROUNDS == 0 else 0
        self._rounds += 1
        matched, woken = self.store.match_pending(), [*self.store.wake_due(), *self.store.wake_placed()]
        self.dispatcher.follow(matched)
        self.dispatcher.dispatch(woken)
        sent = sum(self.dispatcher.send_picked(queue) for queue in self.queues)
        return changed + len(matched.queued) + len(woken) + sent

    def _start_and_end(self) -> int:
        """Start the runs of crons, and end those that are past their deadline."""
        fired, expired = self.store.fire_crons(), self.store.expire()
        self.dispatcher.follow(fired)
        self.dispatcher.forget([run.id for run in expired if run.status == "cancelled"])
        return len(fired.queued) + len(expired)
