"""The roll of usage: adds what was counted to the days, so that reads stay fast.

Every worker does it, as rolls that meet take different rows; answers are exact however late it comes.
"""

from __future__ import annotations

from celeriac.platform.durable.usage import Usages

#: how many rows go in one transaction
PAGE = 2000


class UsageRoll:
    """A round of the worker."""

    def __init__(self, usages: Usages) -> None:
        """Roll up what is counted there."""
        self._usages = usages

    def run_once(self) -> int:
        """Roll up all that is there; return how many rows those were."""
        rolled = last = self._usages.roll(most=PAGE)
        while last == PAGE:
            last = self._usages.roll(most=PAGE)
            rolled += last
        return rolled
