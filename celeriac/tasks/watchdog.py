"""The watchdog: ends a worker whose Celery consumer has gone silent, so that its supervisor starts a fresh one.

After a broken broker connection a consumer may stop for good without an error. A worker with room that has taken
nothing for a minute, although messages wait on its queues, is taken for such a one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence

from celeriac.platform.durable.dispatch import Links
from celeriac.platform.durable.engine import Engine

log = logging.getLogger(__name__)

SILENCE_SECONDS = 60.0


class Watchdog:
    """Looks whether anything is consumed; a round of the worker."""

    def __init__(
        self,
        links: Links,
        engine: Engine,
        *,
        queues: Sequence[str],
        capacity: int,
        give_up: Callable[[], None] = lambda: os._exit(1),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call `give_up` when the consumer is silent; runs of this worker are taken over by others at once."""
        self._links, self._engine = links, engine
        self._queues, self._capacity = queues, capacity
        self._give_up, self._now = give_up, now
        self._seen = (engine.links_taken, now())

    def run_once(self) -> int:
        """Look once; return how many messages wait."""
        waiting = sum(self._links.backlog(queue) for queue in self._queues)
        is_idle = len(self._engine.executing()) < self._capacity and not self._engine.is_draining
        if not waiting or not is_idle or self._engine.links_taken != self._seen[0]:
            self._seen = (self._engine.links_taken, self._now())
        elif self._now() - self._seen[1] >= SILENCE_SECONDS:
            log.error("Nothing was consumed for %.0f s while %d messages wait; ending", SILENCE_SECONDS, waiting)
            self._give_up()
        return waiting
