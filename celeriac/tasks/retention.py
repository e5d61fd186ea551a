"""The retention: deletes what is kept no longer, of tenants and of all, on the worker that has been there longest.

It does a batch and rests for many times as long, so that traffic does not feel it. Two workers that both think
themselves the oldest do no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import chain

from celeriac.platform.durable.retention import batches
from celeriac.tasks.heartbeat import Heartbeat
from celeriac.wiring import Installation

log = logging.getLogger(__name__)

#: from the end of one pass over all tenants to the next, and until another worker is looked for
PASS_SECONDS = 300.0
LOOK_SECONDS = 30.0

#: how much longer than a batch took it rests, and how long at least
REST, LEAST_REST_SECONDS = 20, 0.05


class Retention:
    """A round of the worker; keeps its place from one round to the next."""

    def __init__(
        self,
        rooms: Installation,
        heartbeat: Heartbeat,
        *,
        dead_after: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at the fleet first."""
        self._rooms, self._heartbeat, self._dead_after, self._clock = rooms, heartbeat, dead_after, clock
        self._again = 0.0
        self._pass: Iterator[int] | None = None

    def run_once(self) -> int:
        """Do one batch where it is time; return how many rows went."""
        began = self._clock()
        if began < self._again:
            return 0
        if self._pass is None and not self._is_oldest():
            self._again = began + LOOK_SECONDS
            return 0
        if self._pass is None:
            self._pass = self._batches()
        deleted = self._next()
        if deleted is None:
            self._pass, self._again = None, self._clock() + PASS_SECONDS
            return 0
        ended = self._clock()
        self._again = ended + max(LEAST_REST_SECONDS, REST * (ended - began))
        return deleted

    def _next(self) -> int | None:
        """Return what the next batch deleted; None after the last one. A batch that fails ends the pass."""
        assert self._pass is not None, "a pass is going on"
        try:
            return next(self._pass, None)
        except BaseException:
            self._pass, self._again = None, self._clock() + LOOK_SECONDS
            raise

    def _is_oldest(self) -> bool:
        living = self._rooms.reads.workers(self._dead_after)
        return not living or living[0].id == self._heartbeat.worker.id

    def _batches(self) -> Iterator[int]:
        """Go through the batches of what is nobody's alone and of all tenants, and say in the log what went."""
        now, total = self._rooms.store.now(), 0
        # A batch of a tenant that fails ends the pass.
        for deleted in chain(self._answers(), self._keys(), self._audit_batches(now)):
            total += deleted
            yield deleted
        for tenant in self._rooms.tenants.list():
            days = tenant.limits.retention_days
            days = self._rooms.settings.retention_days if days is None else days
            if not days:
                continue
            for deleted in batches(self._rooms.upkeep, tenant.id, now - timedelta(days=days)):
                total += deleted
                yield deleted
        if total:
            log.info("Retention deleted %d runs, events, audit entries and the like", total)

    def _answers(self) -> Iterator[int]:
        while deleted := self._rooms.given_answers.delete_old():
            yield deleted

    def _keys(self) -> Iterator[int]:
        while deleted := self._rooms.upkeep.delete_free_keys():
            yield deleted

    def _audit_batches(self, now: datetime) -> Iterator[int]:
        days = self._rooms.settings.audit_retention_days
        while days and (deleted := self._rooms.audit.delete_before(now - timedelta(days=days))):
            yield deleted
