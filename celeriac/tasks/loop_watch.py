"""The loop watch: says so when a run blocks the loop that all runs of its worker share.

Plain blocking code in an `async def` does it (`time.sleep`, a long computation). The worker is not ended for it: the
run would be taken over and block the next one.
"""

from __future__ import annotations

import asyncio
import logging
import threading

from celeriac.platform.durable.engine import Engine

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0


class LoopWatch:
    """Asks the loop for an answer; a round of the worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: Engine, *, patience: float = ANSWER_SECONDS) -> None:
        """Wait `patience` seconds for each answer."""
        self._loop, self._engine, self._patience = loop, engine, patience

    def run_once(self) -> int:
        """Ask once; return 1 where no answer came in time."""
        answered = threading.Event()
        self._loop.call_soon_threadsafe(answered.set)
        if answered.wait(self._patience):
            return 0
        runs = ", ".join(sorted(run.run_id for run in self._engine.executing()))
        log.error(
            "The loop has not answered for %g s: one of these runs blocks it by plain code in an async def; "
            "put that code into a plain def: %s",
            self._patience,
            runs,
        )
        return 1
