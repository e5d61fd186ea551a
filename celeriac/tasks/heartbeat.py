"""The heartbeat: how a worker stays in the fleet, and how it learns that it did not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from celeriac.clock import SyncedClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.store import Store, Worker

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews this worker's row by the database's clock, its slots, and its capacity at the gate.

    A worker that could not renew for the dead time may have been judged: it lets go of its runs and goes on under a
    new id.
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
        self._register()
        engine.is_silent = lambda: time.monotonic() - self._renewed > self._dead_after

    def _register(self) -> None:
        self.worker = self._describe()
        self._store.register(self.worker)
        self._engine.worker_id = self.worker.id
        self._on_joined(self.worker.id)
        self._renewed = self._unbroken_since = time.monotonic()

    @property
    def may_judge(self) -> bool:
        """Whether it has renewed without a gap for the whole dead time, so that others' silence is theirs."""
        now = time.monotonic()
        return now - self._unbroken_since >= self._dead_after and now - self._renewed < self._dead_after / 2

    def run_once(self) -> int:
        """Renew once."""
        asked_at = time.monotonic()
        try:
            renewal = self._store.renew(self.worker.id)
        except StoreUnavailable:
            self._unbroken_since = time.monotonic()
            if time.monotonic() - self._renewed > self._dead_after:
                self._engine.abandon()
            raise
        if not renewal.is_alive or time.monotonic() - self._renewed > self._dead_after:
            log.warning("Worker %s was silent for too long; it lets go of its runs and joins anew", self.worker.id)
            self._engine.abandon()
            self._leave_gate()
            silent = self.worker.id
            self._register()
            self._dispatcher.dispatch(self._store.bury([silent], is_death=False))
        self._renewed = time.monotonic()
        self._clock.sync(renewal.now, asked_at=asked_at)
        self._engine.cancel(renewal.cancelled)
        self._renew_at_gate()
        return len(renewal.cancelled)

    def _renew_at_gate(self) -> None:
        try:
            if not self._engine.is_draining:
                self._gate.attend(self.worker.id, self.worker.queues, self.worker.capacity)
            self._renew_slots()
        except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
            log.warning("The gate does not answer the heartbeat: %s", error)

    def _renew_slots(self) -> None:
        executing = self._engine.executing()
        self._dispatcher.renew(executing)
        still = {(run.run_id, run.fence) for run in self._engine.executing()}
        left = [run for run in executing if (run.run_id, run.fence) not in still]
        for run in left:  # it has given its slot back already
            self._gate.release(run.run_id, run.fence)
        holding = [run.run_id for run in left if any(pool.is_for_run for pool in run.pools)]
        if holding:  # of those, a run that has ended has given its pool back too
            standing = {run.run_id for run in self._store.holding_of(holding)}
            self._gate.settle([run_id for run_id in holding if run_id not in standing])

    def _leave_gate(self) -> None:
        try:
            self._gate.leave(self.worker.id)
        except Exception as error:  # noqa: BLE001  # forgotten by time alone
            log.warning("The gate does not answer: %s", error)

    def leave(self) -> None:
        """Leave the fleet in order."""
        self._leave_gate()
        self._store.retire(self.worker.id)
