"""Poison: runs that kill the worker that executes them, told apart from their neighbours.

When a worker dies, every run that it executed is a suspect. After the first death suspects are executed a few at a
time, and one that was there at a second death alone, so that from then on a death is its own doing. Three deaths alone
fail the run. Each level of suspicion is one death; whatever the run commits clears it, and so does a link
that ends in order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from celeriac.platform.durable.store import Ending

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
        error_message="The worker died three times while it executed this run alone; mend its code, then rerun it",
    )


class Quarantine:
    """Lets suspects execute in one worker process: some of the first level together, any other alone."""

    def __init__(self) -> None:
        """Start with nobody inside."""
        self._changed = threading.Condition()
        self._inside: dict[str, int] = {}

    def try_enter(self, run_id: str, level: int) -> bool:
        """Let the run in if there is room for it now."""
        with self._changed:
            return self._enter(run_id, level)

    def enter(self, run_id: str, level: int, gives_up: Callable[[], bool]) -> bool:
        """Wait until there is room for the run; False once `gives_up` says so."""
        with self._changed:
            while not self._enter(run_id, level):
                if gives_up():
                    return False
                self._changed.wait(0.2)
            return True

    def leave(self, run_id: str) -> None:
        """Let others in; harmless when the run is not inside."""
        with self._changed:
            if self._inside.pop(run_id, None) is not None:
                self._changed.notify_all()

    def _enter(self, run_id: str, level: int) -> bool:
        others = [one for other, one in self._inside.items() if other != run_id]
        if level >= ALONE:
            has_room = not others
        else:
            has_room = len(others) < SUSPECTS_AT_ONCE and all(one < ALONE for one in others)
        if has_room:
            self._inside[run_id] = level
        return has_room
