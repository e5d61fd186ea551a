"""Poison: runs that kill the worker that executes them, told apart from their neighbours.

When a worker dies, every run that it executed is a suspect. After the first death suspects are executed a few at a
time, and one that was there at a second death as the only suspect beside runs that are none, so that from then on a
death is most likely its own doing. Three such deaths fail the run. Each level of suspicion is one death; whatever the
run commits clears it, and so does a link that ends in order.
"""

from __future__ import annotations

import threading

from celeriac.platform.durable.store import Ending
from celeriac.platform.flow.gate import Queued

#: suspects of the first level that one worker executes at a time
SUSPECTS_AT_ONCE = 8
#: from this level on a suspect is executed alone
ALONE = 2
#: the level at which a run has died alone three times
POISON = ALONE + 3


def poisoned() -> Ending:
    """Return how a run ends that is poison."""
    return Ending(
        status="failed",
        reason="error",
        error_code="poison",
        error_message="Workers died while this run was the only suspect, three times; mend its code, then rerun it",
    )


class Quarantine:
    """Lets suspects execute in one worker process: some of the first level together, any other alone.

    One that finds no room stands queued meanwhile, so that no death counts for it, and is sent for again when there is.
    """

    def __init__(self) -> None:
        """Start with nobody inside."""
        self._lock = threading.Lock()
        self._inside: dict[str, int] = {}
        self._waiting: dict[str, tuple[int, Queued]] = {}

    def try_enter(self, run_id: str, level: int) -> bool:
        """Let the run in if there is room for it now."""
        with self._lock:
            if run_id in self._inside or not self._has_room(level):
                return False
            self._inside[run_id] = level
            self._waiting.pop(run_id, None)
            return True

    def wait(self, level: int, queued: Queued) -> None:
        """Note a run that stands queued until there is room for it."""
        with self._lock:
            self._waiting[queued.run_id] = (level, queued)

    def leave(self, run_id: str) -> list[Queued]:
        """Note that the run is no suspect here any more; return those that may come in now. Harmless for others."""
        with self._lock:
            self._inside.pop(run_id, None)
            called: list[Queued] = []
            for waiting, (level, queued) in list(self._waiting.items()):
                if not self._has_room(level, more=len(called)):
                    break
                del self._waiting[waiting]
                called.append(queued)
                if level >= ALONE:
                    break
            return called

    def _has_room(self, level: int, *, more: int = 0) -> bool:
        others = len(self._inside) + more
        if level >= ALONE:
            return not others
        return others < SUSPECTS_AT_ONCE and all(one < ALONE for one in self._inside.values())
