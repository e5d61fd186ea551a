"""The timers: what becomes due, ten times a second, on every worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.store import Store
from celeriac.platform.streams.reading import close_quietly
from celeriac.platform.streams.stream import Stream

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timers:
    """Wakes, starts and ends what is due, matches what steps sent, and lets the gate pick what is allowed by now."""

    store: Store
    dispatcher: Dispatcher
    queues: Sequence[str]
    #: where what ends here is told to those who watch
    stream: Stream | None = None

    def run_once(self) -> int:
        """Do one round; what breaks in one part leaves the others alone."""
        due = self.store.due()
        parts = {
            self._start_crons: due.crons,
            self._match: due.events,
            self._wake: due.waits or due.placed,
            self._end: due.deadlines,
            self._pick: True,
        }
        changed = 0
        for part, is_due in parts.items():
            if is_due:
                try:
                    changed += part()
                except StoreUnavailable:
                    raise
                except Exception:
                    log.exception("A part of the timers failed; the others go on")
        return changed

    def _start_crons(self) -> int:
        fired = self.store.fire_crons()
        self.dispatcher.follow(fired)
        return len(fired.queued)

    def _match(self) -> int:
        matched = self.store.match_pending()
        self.dispatcher.follow(matched)
        return len(matched.queued)

    def _wake(self) -> int:
        woken = [*self.store.wake_due(), *self.store.wake_placed()]
        self.dispatcher.dispatch(woken)
        return len(woken)

    def _end(self) -> int:
        expired = self.store.expire()
        ended = [run for run in expired if run.status == "cancelled"]
        self.dispatcher.forget([run.id for run in ended])
        if self.stream is not None:
            for run in ended:
                close_quietly(self.stream, run)
        return len(expired)

    def _pick(self) -> int:
        return sum(self.dispatcher.send_picked(queue) for queue in self.queues)
