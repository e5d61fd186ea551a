"""The slots of links: what a link that was claimed asks of the gate, and what is given back where none executes.

The engine calls it. The gate is a hint: while it does not answer links begin without it, and slots end by their time.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from celeriac.platform.durable.admission import admission
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.patience import patiently
from celeriac.platform.durable.store import Claim, Store
from celeriac.platform.flow.gate import Queued

log = logging.getLogger(__name__)

#: a link that may have been on its way for so long asks the gate, which may have forgotten its slots
ASKED_AFTER = timedelta(seconds=2)


class LinkSlots:
    """Safe to share between threads."""

    def __init__(self, store: Store, dispatcher: Dispatcher) -> None:
        """Take the truth and the way to the gate."""
        self._store, self._dispatcher = store, dispatcher

    def admits(self, claim: Claim) -> bool:
        """Tell the gate that the link begins; False where its message took so long that others have its slots."""
        try:
            return self._dispatcher.started(in_flight(claim))
        except Exception:
            log.warning("The gate does not answer; run %s begins without it", claim.run.id, exc_info=True)
            return True

    def turn_back(self, claim: Claim) -> list[Queued]:
        """Let a run that was claimed and cannot execute stand queued as before, with its age; return it."""
        function = patiently(self._store.declared).functions.get(f"{claim.run.app}/{claim.run.function_id}")
        start_timeout = None if function is None else function.rules.start_timeout
        queued = patiently(self._store.turn_back, claim, start_timeout=start_timeout)
        return [] if queued is None else [queued]

    def give_back_unclaimed(self, run_id: str, fence: int) -> None:
        """Give back what a message was picked with that claimed nothing, unless a link executes under its fence.

        Such a pick is of a run that began, and may have ended, just when reconcile took it for lost.
        """
        try:
            if not self._store.is_executing(run_id, fence):
                self._dispatcher.gate.release(run_id, fence)
        except Exception as error:  # noqa: BLE001  # the slots end by their time
            log.warning("The slots of a message of run %s that claimed nothing end by time: %s", run_id, error)


def in_flight(claim: Claim, *, is_over: bool = False) -> Queued:
    """Return a claimed run as the Gate knows it."""
    return Queued(
        run_id=claim.run.id,
        tenant_id=claim.run.tenant_id,
        queue=claim.queue,
        fence=claim.fence,
        function=f"{claim.run.app}/{claim.run.function_id}",
        is_resume=claim.run.links > 1,
        is_over=is_over,
        **admission(claim.gate),
    )
