"""The fleet in memory: worker processes, who is alive by the clock, and what the dead leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from celeriac.platform.durable.poison import POISON, poisoned
from celeriac.platform.durable.store import Renewal, Worker
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.local_placements import LocalPlacements
from celeriac.platform.store.local_records import (
    StoredRun,
    as_queued,
    place,
)


class LocalFleet(LocalPlacements):
    """The part of the store that workers are known in."""

    def register(self, worker: Worker) -> None:
        """Know a worker."""
        with self._lock:
            self._workers[worker.id] = (worker, self.now())

    def renew(self, worker_id: str) -> Renewal:
        """Renew a worker."""
        with self._lock:
            known = self._workers.get(worker_id)
            if known is None:
                return Renewal(is_alive=False, now=self.now())
            self._workers[worker_id] = (known[0], self.now())
            mine = [run for run in self.all.values() if run.worker_id == worker_id and run.cancel_requested]
            return Renewal(is_alive=True, now=self.now(), cancelled=tuple(run.run.id for run in mine))

    def retire(self, worker_id: str) -> None:
        """Forget a worker."""
        with self._lock:
            self._workers.pop(worker_id, None)

    def neighbours(self, worker_id: str) -> list[Worker]:
        """Return workers of the same host."""
        with self._lock:
            me = self._workers.get(worker_id)
            if me is None:
                return []
            here = place(me[0])
            return [one for one, _ in self._workers.values() if one.id != worker_id and place(one) == here]

    def bury(
        self,
        worker_ids: Sequence[str],
        *,
        silent_for: timedelta | None = None,
        as_of: datetime | None = None,
        is_death: bool = True,
    ) -> list[Queued]:
        """Judge workers dead and queue their runs."""
        with self._lock:
            dead = set(worker_ids)
            if silent_for is not None:
                before = min(self.now(), as_of or self.now()) - silent_for
                dead |= {id for id, (_, seen) in self._workers.items() if seen <= before}
            for worker_id in dead:
                self._workers.pop(worker_id, None)
            running = [run for run in self.all.values() if run.run.status == "running"]
            lost = [run for run in running if run.worker_id in dead or self._is_orphaned(run, silent_for)]
            for run in lost:
                run.suspicion += int(is_death)
                if run.suspicion >= POISON:
                    self._end_at_once(run, poisoned())
                else:
                    self._queue(run)
            left = [claim for worker_id in dead for claim, _ in self.performing(worker_id)]
            left += self._orphaned_placed(silent_for) if silent_for is not None else []
            return [as_queued(run) for run in lost if not run.run.is_final] + self.give_back_placed(left)

    def _is_orphaned(self, run: StoredRun, silent_for: timedelta | None) -> bool:
        """Whether its worker has no row: it was claimed in the moment in which its worker was judged dead."""
        if silent_for is None or run.worker_id in self._workers or run.claimed_at is None:
            return False
        return run.claimed_at <= self.now() - silent_for

    def held(self, worker_id: str) -> list[tuple[str, int]]:
        """Return what the worker holds."""
        with self._lock:
            mine = [run for run in self.all.values() if run.run.status == "running" and run.worker_id == worker_id]
            return [(run.run.id, run.fence) for run in mine]

    def give_back(self, run_id: str, fence: int) -> Queued | None:
        """Queue a run that nobody executes."""
        with self._lock:
            run = self.all.get(run_id)
            if run is None or run.fence != fence or run.run.status != "running":
                return None
            self._queue(run)
            return as_queued(run)
