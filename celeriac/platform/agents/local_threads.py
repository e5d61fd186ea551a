"""The twin of `SqlThreads` in this process's memory, for tests and plain scripts. Nothing outlives it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from celeriac.platform.agents.threads import Entry, no_thread, title_of, too_many_threads
from celeriac.platform.codec import encode


@dataclass
class _Thread:
    user_id: str | None
    title: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)


class LocalThreads:
    """`Threads` in a dict; safe for threads."""

    def __init__(self, most: Callable[[str], int | None] = lambda _: None) -> None:
        """Start empty; `most` tells how many threads a tenant may have, None: any number."""
        self._most = most
        self._threads: dict[tuple[str, str], _Thread] = {}
        self._lock = threading.Lock()

    def open(self, tenant_id: str, thread_id: str, *, user_id: str | None = None) -> None:
        most = self._most(tenant_id)
        with self._lock:
            if (tenant_id, thread_id) in self._threads:
                return
            if most is not None and sum(owner == tenant_id for owner, _ in self._threads) >= most:
                raise too_many_threads(most)
            self._threads[tenant_id, thread_id] = _Thread(user_id)

    def entries(self, tenant_id: str, thread_id: str, *, last: int, before: int | None = None) -> list[Entry]:
        with self._lock:
            thread = self._threads.get((tenant_id, thread_id))
            kept = [] if thread is None else list(thread.entries.values())
        return [one for one in kept if before is None or one.seq < before][-last:]

    def append(self, tenant_id: str, thread_id: str, entries: Sequence[Entry]) -> None:
        with self._lock:
            thread = self._threads.get((tenant_id, thread_id))
            if thread is None:
                raise no_thread(thread_id)
            thread.title = thread.title or title_of(entries)
            for one in entries:
                # As a database would: later changes of what was given change nothing that is kept.
                kept = replace(one, seq=len(thread.entries) + 1, data=json.loads(encode(one.data)))
                thread.entries.setdefault(one.id, kept)

    def delete(self, tenant_id: str, thread_id: str) -> None:
        with self._lock:
            if self._threads.pop((tenant_id, thread_id), None) is None:
                raise no_thread(thread_id)
