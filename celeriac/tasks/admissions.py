"""Admissions: a round of the worker that tells the Gate what it has to know anew of functions' limits.

The Gate knows of a run that holds a pool until it ends only what it was told; what Redis lost is told again here, page
by page, and a pool whose run has ended unseen is given back. Changed numbers are taken to the runs that are queued, so
that they bind at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.store import Store
from celeriac.platform.flow.gate import Queued

log = logging.getLogger(__name__)

#: pages of queued runs that one round takes changed numbers to
_PAGES = 20

_AT_ONCE = timedelta(0)


class Admissions:
    """Keeps what the Gate knows of functions' limits true."""

    def __init__(self, store: Store, dispatcher: Dispatcher) -> None:
        """Begin with all that is queued: nobody may have seen the change that came with this worker."""
        self._store, self._dispatcher = store, dispatcher
        self._numbers: object = None
        #: the last queued run that knows the numbers of now; None: all know them
        self._told: str | None = None
        self._confirmed = ""

    def run_once(self) -> int:
        """Do one round; return of how many runs the Gate was told."""
        try:
            return self._spread_numbers() + self._confirm() + self._look_up()
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
            log.warning("The gate does not answer about limits: %s", error)
            return 0

    def _spread_numbers(self) -> int:
        """Take changed numbers to what is queued, some pages a round."""
        functions = self._store.declared().functions
        numbers = {name: (one.rules.concurrency, one.rules.throttle) for name, one in functions.items()}
        if numbers != self._numbers:
            self._numbers, self._told = numbers, ""
        told = 0
        for _ in range(_PAGES):
            if self._told is None:
                break
            page = self._store.stranded(older_than=_AT_ONCE, after=self._told)
            told += self._tell(self._dispatcher.gate.learn, [run for run in page if run.pools or run.pace])
            self._told = page[-1].run_id if page else None
        return told

    def _confirm(self) -> int:
        """Tell of a page of the runs that hold a pool."""
        if not self._store.declared().has_held_pools:
            return 0
        page = self._store.holding(after=self._confirmed)
        self._confirmed = page[-1].run_id if page else ""
        return self._tell(self._dispatcher.gate.hold_runs, page)

    def _look_up(self) -> int:
        """Look up the runs that hold a pool and of which nothing was heard: those that have ended give it back."""
        silent = self._dispatcher.gate.unconfirmed(500)
        if not silent:
            return 0
        living = self._store.holding_of(silent)
        self._tell(self._dispatcher.gate.hold_runs, living)
        ended = sorted(set(silent) - {run.run_id for run in living})
        self._dispatcher.gate.settle(ended)
        return len(silent)

    def _tell(self, tell: Callable[[Sequence[Queued]], None], runs: Sequence[Queued]) -> int:
        if runs:
            tell(self._dispatcher.bound(runs))
        return len(runs)
