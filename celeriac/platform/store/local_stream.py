"""The streams in memory, for one process: the twin of `redis_stream.py`, without its time to live."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from celeriac.platform.streams.book import Book
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import run_channel
from celeriac.platform.streams.stream import CAP, Passage, Placed


class LocalStream:
    """Books and channels in dicts; one lock is the script."""

    def __init__(self, *, cap: int = CAP) -> None:
        """Keep the newest `cap` chunks of a channel."""
        self._cap = cap
        self._lock = threading.Lock()
        self._books: dict[tuple[str, str], Book] = {}
        self._channels: dict[tuple[str, str], deque[Placed]] = {}
        self._positions = 0

    def append(self, passages: Sequence[Passage]) -> list[list[Chunk]]:
        with self._lock:
            return [self._append(passage) for passage in passages]

    def told(self, tenant_id: str, run_id: str, ids: Sequence[str]) -> list[bool]:
        with self._lock:
            book = self._books.get((tenant_id, run_id), Book())
            return [book.has(id) for id in ids]

    def read(self, tenant_id: str, channel: str, *, after: int = -1, limit: int = 1_000) -> list[Placed]:
        with self._lock:
            behind = (one for one in self._channels.get((tenant_id, channel), ()) if one.position > after)
            return list(islice(behind, limit))

    def clear(self) -> None:
        """Lose everything, as Redis may."""
        with self._lock:
            self._books.clear()
            self._channels.clear()

    def _append(self, passage: Passage) -> list[Chunk]:
        tenant_id = passage.tenant_id
        book = self._books.get((tenant_id, passage.run_id)) or Book()
        made = book.take(passage.drafts, fence=passage.fence)
        if made:
            self._books[tenant_id, passage.run_id] = book
        for chunk in made:
            self._keep(tenant_id, run_channel(passage.run_id), chunk.sequence_number, chunk)
            for channel in passage.channels:
                self._positions += 1
                self._keep(tenant_id, channel, self._positions, chunk)
        return made if passage.is_heard else []

    def _keep(self, tenant_id: str, channel: str, position: int, chunk: Chunk) -> None:
        kept = self._channels.setdefault((tenant_id, channel), deque(maxlen=self._cap))
        kept.append(Placed(position=position, chunk=chunk))
