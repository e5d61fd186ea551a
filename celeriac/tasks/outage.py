"""The outage: what a worker says of a database that does not answer, one line when it begins and one when it is over.

Ten rounds and the journal's writer notice it, some of them ten times a second; what each of them has to do about it is
its own.
"""

from __future__ import annotations

import logging
import threading
import time

from celeriac.errors import StoreUnavailable

log = logging.getLogger(__name__)


class Outage:
    """Shared by the rounds of one worker; over when each round that failed has come through again."""

    def __init__(self) -> None:
        """Begin with a database that answers."""
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._since = 0.0

    def note_failure(self, name: str, error: StoreUnavailable) -> None:
        """Say so if this round is the first that fails."""
        with self._lock:
            if not self._failing:
                self._since = time.monotonic()
                log.warning("%s: %s. What executes goes on, and nothing is claimed meanwhile", name, error)
            self._failing.add(name)

    def note_success(self, name: str) -> None:
        """Say so if this round is the last that had failed."""
        if name not in self._failing:
            return
        with self._lock:
            self._failing.discard(name)
            if not self._failing:
                log.warning("The database answers again after %.1f s", time.monotonic() - self._since)
