"""The bulk actions: carried out page by page, by whichever workers are there."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from celeriac.platform.durable.bulk import Advance
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.operations import Operations

#: how long one round goes on at most, so that a worker that leaves is not held up
_ROUND_SECONDS = 1.0


@dataclass
class BulkActions:
    """A round of the worker: a page of each action in turn, for as long as there are any."""

    operations: Operations
    dispatcher: Dispatcher

    def run_once(self) -> int:
        """Do pages; return how many runs they changed here and now."""
        until, changed = time.monotonic() + _ROUND_SECONDS, 0
        standing = self.operations.running()
        random.shuffle(standing)  # so that none waits for ever behind many others
        while standing and time.monotonic() < until:
            goes_on = []
            for action_id in standing:
                advance = self.operations.advance(action_id)
                changed += self._tell(advance)
                if advance.goes_on:
                    goes_on.append(action_id)
            standing = goes_on
        return changed

    def _tell(self, advance: Advance) -> int:
        self.dispatcher.forget(advance.ended)
        self.dispatcher.dispatch(advance.queued)
        return len(advance.ended) + len(advance.queued)
