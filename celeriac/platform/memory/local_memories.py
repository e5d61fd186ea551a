"""The twin of `Mem0Memories` in this process's memory, for tests and plain scripts. Nothing outlives it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from celeriac.clock import Clock, SystemClock
from celeriac.platform.memory.embedder import Embedder, HashingEmbedder
from celeriac.platform.memory.memory import Remembered
from celeriac.platform.memory.scope import (
    MOST_OF_A_SCOPE,
    Scope,
    accepted,
    accepted_query,
    accepted_text,
    not_found,
    qualified,
)
from celeriac.platform.memory.vectors import nearest, pack


@dataclass(frozen=True)
class _Row:
    scope: Scope
    remembered: Remembered
    vector: bytes


class LocalMemories:
    """`Memories` in a dict; safe for threads."""

    def __init__(self, embedder: Embedder | None = None, clock: Clock | None = None) -> None:
        """Start empty, by default with the hashing embedder and the system's clock."""
        self._embedder = embedder or HashingEmbedder()
        self._clock = clock or SystemClock()
        #: by tenant and id, in the order of creation
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Have nothing to load."""

    def add(
        self, tenant_id: str, user: str, statements: str | Sequence[str], *, idempotency_key: str | None = None
    ) -> list[Remembered]:
        scope, texts = Scope.of(tenant_id, user), accepted(statements)
        vectors = self._embedder.embed(texts, tenant_id=tenant_id) if texts else []
        added = []
        with self._lock:
            for text, vector in zip(texts, vectors, strict=True):
                id = scope.new_id(text, idempotency_key)
                fresh = _Row(scope, Remembered(id=id, text=text, created_at=self._clock.now()), pack(vector))
                added.append(self._rows.setdefault(qualified(tenant_id, id), fresh).remembered)
        return added

    def search(self, tenant_id: str, user: str, query: str, limit: int) -> list[Remembered]:
        scope, query = Scope.of(tenant_id, user), accepted_query(query, limit)
        rows = self._of(scope)
        if not query or not rows:
            return []
        found = nearest(self._embedder.embed([query], tenant_id=tenant_id)[0], [row.vector for row in rows], limit)
        return [replace(rows[place].remembered, score=score) for place, score in found]

    def update(self, tenant_id: str, id: str, text: str, *, user: str | None = None) -> Remembered:
        text = accepted_text(text)
        vector = pack(self._embedder.embed([text], tenant_id=tenant_id)[0])
        with self._lock:
            row = self._owned(tenant_id, id, user)
            changed = replace(row, remembered=replace(row.remembered, text=text), vector=vector)
            self._rows[qualified(tenant_id, id)] = changed
        return changed.remembered

    def delete(self, tenant_id: str, id: str, *, user: str | None = None) -> None:
        with self._lock:
            self._owned(tenant_id, id, user)
            del self._rows[qualified(tenant_id, id)]

    def all(self, tenant_id: str, user: str) -> list[Remembered]:
        return [row.remembered for row in self._of(Scope.of(tenant_id, user))]

    def _of(self, scope: Scope) -> list[_Row]:
        with self._lock:
            mine = [row for row in self._rows.values() if row.scope == scope]
        return mine[::-1][:MOST_OF_A_SCOPE]

    def _owned(self, tenant_id: str, id: str, user: str | None) -> _Row:
        row = self._rows.get(qualified(tenant_id, id))
        if row is None or (user is not None and row.scope != Scope.of(tenant_id, user)):
            raise not_found(id)
        return row
