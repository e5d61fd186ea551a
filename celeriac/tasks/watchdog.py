"""The watchdog: ends a worker whose Celery consumer has gone silent, so that its supervisor starts a fresh one.

After a broken broker connection a consumer may stop for good without an error. A worker with room that has taken
nothing for a minute, although messages wait on its queues, is taken for such a one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from celeriac.platform.durable.dispatch import Links

log = logging.getLogger(__name__)

SILENCE_SECONDS = 60.0


class Consumer(Protocol):
    """What is known of a worker's consumer from outside."""

    def taken(self) -> int:
        """Return how many messages were taken so far."""
        ...

    def active(self) -> int:
        """Return how many of them are being worked on."""
        ...


class Watchdog:
    """Looks whether anything is consumed; a round of the worker."""

    def __init__(
        self,
        links: Links,
        consumer: Consumer,
        *,
        queues: Sequence[str],
        capacity: int,
        is_draining: Callable[[], bool],
        give_up: Callable[[], None] = lambda: os._exit(1),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call `give_up` when the consumer is silent; runs of this worker are taken over by others at once."""
        self._links, self._consumer = links, consumer
        self._queues, self._capacity, self._is_draining = queues, capacity, is_draining
        self._give_up, self._now = give_up, now
        self._seen = (consumer.taken(), now())

    def run_once(self) -> int:
        """Look once; return how many messages wait."""
        waiting = sum(self._links.backlog(queue) for queue in self._queues)
        taken = self._consumer.taken()
        is_idle = self._consumer.active() < self._capacity and not self._is_draining()
        if not waiting or not is_idle or taken != self._seen[0]:
            self._seen = (taken, self._now())
        elif self._now() - self._seen[1] >= SILENCE_SECONDS:
            log.error("Nothing was consumed for %.0f s while %d messages wait; ending", SILENCE_SECONDS, waiting)
            self._give_up()
        return waiting
