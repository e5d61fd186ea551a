"""The step cache: the memos of a run beside the truth, so that a link need not read them from SQL.

The engine loads a run's memos through this protocol after the claim and saves each after its commit;
`store/redis_cache.py` keeps them in Redis, `store/local_cache.py` in memory. A cache may lose anything at any time and
never answers with an error: what it does not hold completely is read from SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

#: Values above this many bytes are not cached; the count then differs and the run's memos come from SQL.
MAX_VALUE_BYTES = 64 * 1024


class Cache(Protocol):
    """Keeps the memos of runs for some time; its calls block for as long as its server may take."""

    #: loads that were answered with all memos
    hits: int
    #: loads that sent the engine to SQL
    misses: int

    def load(self, tenant_id: str, run_id: str, expected: int) -> list[str] | None:
        """Return all memos of the run in any order, or None unless exactly `expected` of them are here.

        A part is never returned: trusting it would repeat a committed step. Zero expected memos are no question and
        count neither as hit nor as miss.
        """
        ...

    def save(self, tenant_id: str, run_id: str, entries: Mapping[str, str]) -> None:
        """Add committed memos, each under its step's path; a failure costs latency only and is logged."""
        ...

    def forget(self, tenant_id: str, run_id: str) -> None:
        """Drop the run's memos, which nobody will load again."""
        ...


def cacheable(entries: Mapping[str, str]) -> dict[str, str]:
    """Return the entries that are small enough for a cache."""
    return {path: text for path, text in entries.items() if len(text.encode()) <= MAX_VALUE_BYTES}
