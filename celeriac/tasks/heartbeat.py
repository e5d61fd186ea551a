"""The heartbeat: how a worker stays in the fleet, and how it learns that it did not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from celeriac.clock import SyncedClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.store import Store, Worker

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews this worker's row by the database's clock, and its capacity at the gate.

    While the database does not answer, the worker goes on with what it executes and claims nothing. Its row tells what
    has become of it: as long as that stands nobody has judged the worker, however late it is, and its runs are its
    own. Where it is gone others have them; the worker lets go of them and goes on under a new id.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        engine: Engine,
        clock: SyncedClock,
        *,
        describe: Callable[[], Worker],
        dead_after: timedelta,
        on_joined: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Register the worker that `describe` describes; `on_joined` is told of its id, each time it joins."""
        self._store, self._dispatcher, self._engine, self._clock = store, dispatcher, engine, clock
        self._gate = dispatcher.gate
        self._on_joined = on_joined
        self._describe, self._dead_after = describe, dead_after.total_seconds()
        #: the database's time of the last renewal, and when that was known
        self._heard = (datetime.fromtimestamp(0, UTC), time.monotonic())
        self._register()
        engine.is_silent = lambda: time.monotonic() - self._renewed > self._dead_after

    def _register(self) -> None:
        self.worker = self._describe()
        # The moment before the question: by the database's clock the row is that old at most.
        asked_at = time.monotonic()
        self._store.register(self.worker)
        self._engine.worker_id = self.worker.id
        self._on_joined(self.worker.id)
        self._unbroken_since = time.monotonic()  # first, as reconcile looks at both meanwhile
        self._renewed = asked_at

    @property
    def judges_as_of(self) -> datetime | None:
        """The database's time of now, as this worker knows it, for a judgement on the silence of others.

        None while it may not judge: others' silence is theirs only where its own renewals have come through without a
        gap for the whole dead time. It is never ahead of the database.
        """
        now = time.monotonic()
        if now - self._unbroken_since < self._dead_after or now - self._renewed >= self._dead_after / 2:
            return None
        then, known_at = self._heard
        return then + timedelta(seconds=now - known_at)

    def run_once(self) -> int:
        """Renew once."""
        asked_at = time.monotonic()
        try:
            renewal = self._store.renew(self.worker.id)
        except StoreUnavailable:
            self._unbroken_since = time.monotonic()
            raise
        if renewal.is_alive:
            self._go_on(asked_at)
        else:
            self._join_anew()
        self._heard = (renewal.now, time.monotonic())
        self._clock.sync(renewal.now, asked_at=asked_at)
        self._engine.cancel(renewal.cancelled)
        self._attend()
        return len(renewal.cancelled)

    def _go_on(self, asked_at: float) -> None:
        """Go on under this id. What has kept this worker from renewing may have kept the others from it as well."""
        gap = time.monotonic() - self._renewed
        if gap > self._dead_after / 2:
            self._unbroken_since = time.monotonic()
        unheard = asked_at - self._renewed
        if unheard > self._dead_after:
            log.info("Worker %s was not heard for %.1f s and nobody has judged it; it goes on", self.worker.id, unheard)
        self._renewed = asked_at

    def _join_anew(self) -> None:
        log.warning("Worker %s was judged dead; it lets go of its runs and joins anew", self.worker.id)
        self._engine.abandon()
        self._leave_gate()
        judged = self.worker.id
        self._register()
        # What it has claimed under its old id since then.
        self._dispatcher.dispatch(self._store.bury([judged], is_death=False))

    def _attend(self) -> None:
        if self._engine.is_draining:
            return
        try:
            self._gate.attend(self.worker.id, self.worker.queues, self.worker.capacity)
        except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
            log.warning("The gate does not answer the heartbeat: %s", error)

    def _leave_gate(self) -> None:
        try:
            self._gate.leave(self.worker.id)
        except Exception as error:  # noqa: BLE001  # forgotten by time alone
            log.warning("The gate does not answer: %s", error)

    def leave(self) -> None:
        """Leave the fleet in order."""
        self._leave_gate()
        self._store.retire(self.worker.id)
