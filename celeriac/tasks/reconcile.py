"""Reconcile: brings the hints back in line with the truth, round by round.

It looks for three things: runs of workers that died, runs that this worker holds but does not execute, and queued
runs that Redis has lost. Any number of workers may do so at once, because all that follows is compare-and-set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.store import Store
from celeriac.platform.flow.gate import Queued
from celeriac.tasks.heartbeat import Heartbeat
from celeriac.tasks.host import is_gone, is_running

log = logging.getLogger(__name__)

#: a run that is queued for longer than this is looked for in the gate
STRANDED_AFTER = timedelta(seconds=5)

#: pages of queued runs in one round, and how many there may be while the gate turns out to have lost them
_PAGES, _PAGES_OF_LOST = 4, 50


class Reconcile:
    """A round of the worker; keeps its place among the queued runs from one round to the next."""

    def __init__(
        self, store: Store, dispatcher: Dispatcher, engine: Engine, heartbeat: Heartbeat, *, dead_after: timedelta
    ) -> None:
        """Judge others only when `heartbeat` says that this worker may."""
        self._store, self._dispatcher, self._engine, self._heartbeat = store, dispatcher, engine, heartbeat
        self._dead_after = dead_after
        self._idle: set[tuple[str, int]] = set()
        self._after = self._after_placed = ""

    def run_once(self) -> int:
        """Do one round; return how many runs were brought back. What breaks in one part leaves the others alone."""
        found = 0
        for part in (self._bury, self._give_back, self._give_back_placed, self._find_stranded):
            try:
                found += part()
            except StoreUnavailable:
                raise
            except Exception:
                log.exception("A part of reconcile failed; the others go on")
        return found

    def _bury(self) -> int:
        """Take over the runs of dead workers: of neighbours whose process is gone, and of the silent."""
        gone = [worker.id for worker in self._store.neighbours(self._heartbeat.worker.id) if is_gone(worker)]
        as_of = self._heartbeat.judges_as_of
        silent_for = None if as_of is None else self._dead_after
        if not gone and silent_for is None:
            return 0
        recovered = self._store.bury(gone, silent_for=silent_for, as_of=as_of)
        for worker_id in gone:
            self._hint(self._dispatcher.gate.leave, worker_id)
        if recovered:
            log.warning("Took %d runs over from dead workers %s", len(recovered), gone)
        return self._bring_back(recovered)

    def _give_back(self) -> int:
        """Put back runs that stand as this worker's for two rounds and are not executed here.

        A claim whose answer was lost leaves one, and so does a move that broke.
        """
        executing = {(run.run_id, run.fence) for run in self._engine.executing()}
        idle = set(self._store.held(self._heartbeat.worker.id)) - executing
        lost = [self._store.give_back(run_id, fence) for run_id, fence in idle & self._idle]
        self._idle = idle
        given = [run for run in lost if run is not None]
        if given:
            log.warning("Put back %d runs that this worker held and did not execute", len(given))
        return self._bring_back(given)

    def _give_back_placed(self) -> int:
        """Put back placed steps whose process has died under a worker that lives, and those that Redis has lost."""
        held = self._store.performing(self._heartbeat.worker.id)
        dead = [claim for claim, process in held if not is_running(process.pid, process.pid_started)]
        given = self._store.give_back_placed(dead) if dead else []
        if given:
            log.warning("Took %d steps over from processes that died", len(given))
        for claim in dead:
            self._hint(self._dispatcher.gate.release, claim.queued.run_id, claim.token)
        given += self._stranded_placed()
        self._dispatcher.dispatch(given)
        return len(given)

    def _stranded_placed(self) -> list[Queued]:
        """Return placed steps that Redis has lost, out of the next page of those that have been queued for long."""
        before, after = self._store.now() - STRANDED_AFTER, self._after_placed
        page = self._store.stranded_placed(before, after=after)
        self._after_placed = page[-1].run_id if page else ""
        lost = self._unknown(page)
        if not lost:
            return []
        still = self._store.stranded_placed(before, after=after)  # one that began between the two looks is not lost
        return [step for step in lost if step in still]

    def _bring_back(self, runs: Sequence[Queued]) -> int:
        for run in runs:
            self._hint(self._dispatcher.gate.release, run.run_id, run.fence - 1)
        self._dispatcher.dispatch(runs)
        return len(runs)

    def _find_stranded(self) -> int:
        """Put queued runs that Redis does not know into their lanes again, some pages a round."""
        found = pages = 0
        while pages < (_PAGES_OF_LOST if found else _PAGES):
            page = self._store.stranded(older_than=STRANDED_AFTER, after=self._after)
            if not page:
                self._after = ""
                break
            pages += 1
            self._after = page[-1].run_id
            lost = [run for run in self._unknown(page) if not self._dispatcher.is_paused(run.tenant_id)]
            if lost:  # one that began between the two looks is in no lane either
                lost = self._store.stranded_of([run.run_id for run in lost], older_than=STRANDED_AFTER)
                self._dispatcher.dispatch(lost)
            found += len(lost)
        if found:
            log.info("Redis did not know %d queued runs; they are in their lanes again", found)
        return found

    def _unknown(self, runs: Sequence[Queued]) -> list[Queued]:
        """Return those that the gate does not know: all, where it does not answer."""
        known: set[str] = set()
        if runs:
            self._hint(lambda: known.update(self._dispatcher.gate.known([run.run_id for run in runs])))
        return [run for run in runs if run.run_id not in known]

    def _hint(self, tell: Callable[..., object], *args: object) -> None:
        try:
            tell(*args)
        except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
            log.warning("The gate does not answer reconcile: %s", error)
