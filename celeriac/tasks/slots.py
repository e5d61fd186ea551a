"""The slots: a round of the worker that keeps the places of what it executes at the gate.

It does not ask the database first. While that is away bodies go on, and a slot that nobody renews is given to another
run by its time: limits would be passed as soon as the database is back. For a worker that is cut off alone this keeps a
slot for too long, and never gives one too many.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.store import Store
from celeriac.platform.flow.gate import Queued

log = logging.getLogger(__name__)


class SlotRenewal:
    """Renews the slots of the links that execute in this worker."""

    def __init__(self, store: Store, dispatcher: Dispatcher, engine: Engine) -> None:
        """Ask the store only for runs that hold a pool, and whose link has ended in the middle of a round."""
        self._store, self._gate, self._engine = store, dispatcher.gate, engine

    def run_once(self) -> int:
        """Renew once; return how many slots."""
        try:
            held = self._engine.holding()
            self._gate.renew(held)
            self._give_back(held)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
            log.warning("The gate does not answer about slots: %s", error)
            return 0
        return len(held)

    def _give_back(self, renewed: Sequence[Queued]) -> None:
        """Give back what was renewed of links that had given it back meanwhile."""
        still = {(run.run_id, run.fence) for run in self._engine.holding()}
        left = [run for run in renewed if (run.run_id, run.fence) not in still]
        for run in left:
            self._gate.release(run.run_id, run.fence)
        holding = [run.run_id for run in left if any(pool.is_for_run for pool in run.pools)]
        if holding:  # of those, a run that has ended has given its pool back too
            standing = {run.run_id for run in self._store.holding_of(holding)}
            self._gate.settle([run_id for run_id in holding if run_id not in standing])
