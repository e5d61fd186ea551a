"""The step cache in memory, for one process: the twin of `redis_cache.py` in tests and scripts.

It keeps memos until they are forgotten and must answer like its twin in everything but time.
"""

from __future__ import annotations

from collections.abc import Mapping

from celeriac.platform.durable.cache import cacheable


class LocalCache:
    """Memos in a dict."""

    def __init__(self) -> None:
        """Start empty."""
        self._memos: dict[tuple[str, str], dict[str, str]] = {}
        self.hits = 0
        self.misses = 0

    def load(self, tenant_id: str, run_id: str, expected: int) -> list[str] | None:
        if expected == 0:
            return []
        values = list(self._memos.get((tenant_id, run_id), {}).values())
        if len(values) != expected:
            self.misses += 1
            return None
        self.hits += 1
        return values

    def save(self, tenant_id: str, run_id: str, entries: Mapping[str, str]) -> None:
        self._memos.setdefault((tenant_id, run_id), {}).update(cacheable(entries))

    def forget(self, tenant_id: str, run_id: str) -> None:
        self._memos.pop((tenant_id, run_id), None)

    def clear(self) -> None:
        """Lose everything, as a cache may."""
        self._memos.clear()
