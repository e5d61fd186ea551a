"""The rounds of a worker: heartbeat, timers and reconcile, each one look at the world and what follows from it.

All have the same shape: `run_once` does one round and returns what it did; a `Ticker` repeats it. Each round may be
made by any number of workers at once, because all that it does is compare-and-set.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from celeriac.clock import SyncedClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.store import Store, Worker
from celeriac.platform.flow.gate import Queued
from celeriac.tasks.host import is_gone

log = logging.getLogger(__name__)

#: a run that is queued for longer than this is looked for in the gate
STRANDED_AFTER = timedelta(seconds=5)


class Round(Protocol):
    """One look at the world."""

    def run_once(self) -> int:
        """Do one round; return how many things it changed."""
        ...


class Ticker:
    """Repeats a round in a thread of its own until it is stopped; an error ends the round, never the thread."""

    def __init__(self, name: str, round: Round, every: float) -> None:
        """Wait `every` seconds between rounds."""
        self._name, self._round, self._every = name, round, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"celeriac-{name}", daemon=True)

    def start(self) -> None:
        """Start with the first round."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the round that is going on."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._round.run_once()
            except StoreUnavailable as error:
                log.warning("%s: %s", self._name, error)
            except Exception:
                log.exception("%s failed and is tried again", self._name)
            self._stop.wait(self._every)


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
    ) -> None:
        """Register the worker that `describe` describes."""
        self._store, self._gate, self._engine, self._clock = store, dispatcher.gate, engine, clock
        self._describe, self._dead_after = describe, dead_after.total_seconds()
        self._register()

    def _register(self) -> None:
        self.worker = self._describe()
        self._store.register(self.worker)
        self._engine.worker_id = self.worker.id
        self._renewed = self._unbroken_since = time.monotonic()

    @property
    def may_judge(self) -> bool:
        """Whether it has renewed without a gap for the whole dead time, so that others' silence is theirs."""
        now = time.monotonic()
        return now - self._unbroken_since >= self._dead_after and now - self._renewed < self._dead_after / 2

    def run_once(self) -> int:
        """Renew once."""
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
            self._register()
        self._renewed = time.monotonic()
        self._clock.sync(renewal.now)
        self._engine.cancel(renewal.cancelled)
        self._renew_at_gate()
        return len(renewal.cancelled)

    def _renew_at_gate(self) -> None:
        try:
            if not self._engine.is_draining:
                self._gate.attend(self.worker.id, self.worker.queues, self.worker.capacity)
            self._gate.renew(self._engine.slots())
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


@dataclass(frozen=True)
class Reconcile:
    """Brings the hints back in line with the truth: runs of dead workers, and runs that Redis has lost."""

    store: Store
    dispatcher: Dispatcher
    heartbeat: Heartbeat
    dead_after: timedelta

    def run_once(self) -> int:
        """Do one round."""
        return self._bury() + self._find_stranded()

    def _bury(self) -> int:
        gone = [worker.id for worker in self.store.neighbours(self.heartbeat.worker.id) if is_gone(worker)]
        silent_for = self.dead_after if self.heartbeat.may_judge else None
        if not gone and silent_for is None:
            return 0
        recovered = self.store.bury(gone, silent_for=silent_for)
        if recovered:
            log.warning("Took %d runs over from dead workers %s", len(recovered), gone)
        for worker_id in gone:
            self._hint(lambda id=worker_id: self.dispatcher.gate.leave(id))  # type: ignore[misc]
        for run in recovered:
            self._hint(lambda run=run: self.dispatcher.gate.release(run.run_id, run.fence - 1))  # type: ignore[misc]
        self.dispatcher.dispatch(recovered)
        return len(recovered)

    def _find_stranded(self) -> int:
        stranded = self.store.stranded(older_than=STRANDED_AFTER)
        if not stranded:
            return 0
        known: set[str] = set()
        self._hint(lambda: known.update(self.dispatcher.gate.known([run.run_id for run in stranded])))
        lost: list[Queued] = [run for run in stranded if run.run_id not in known]
        if lost:
            log.warning("Redis did not know %d queued runs; they are in their lanes again", len(lost))
        self.dispatcher.dispatch(lost)
        return len(lost)

    def _hint(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
            log.warning("The gate does not answer reconcile: %s", error)
