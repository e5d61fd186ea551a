"""The ticker: repeats a worker's rounds.

Heartbeat, timers, reconcile and watchdog have one shape: `run_once` looks at the world once and does what follows.
"""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from celeriac.errors import StoreUnavailable
from celeriac.tasks.outage import Outage

log = logging.getLogger(__name__)


class Round(Protocol):
    """One look at the world."""

    def run_once(self) -> int:
        """Do one round; return how many things it changed."""
        ...


class Ticker:
    """Repeats a round in a thread of its own until it is stopped; an error ends the round, never the thread."""

    def __init__(self, name: str, round: Round, every: float, *, outage: Outage) -> None:
        """Wait `every` seconds between rounds; tell the `outage` whether the database answers."""
        self._name, self._round, self._every, self._outage = name, round, every, outage
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
            self._do_round()
            self._stop.wait(self._every)

    def _do_round(self) -> None:
        try:
            self._round.run_once()
        except StoreUnavailable as error:
            self._outage.note_failure(self._name, error)
            return
        except Exception:
            log.exception("%s failed and is tried again", self._name)
        self._outage.note_success(self._name)
