"""The streams in memory, for one process: the twin of `redis_stream.py`, without its time to live."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from celeriac.platform.streams.book import Book
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import run_channel
from celeriac.platform.streams.stream import CAP, CAP_BYTES, Passage, Placed


class LocalStream:
    """Books and channels in dicts; one lock is the script."""

    def __init__(self, *, cap: int = CAP, cap_bytes: int = CAP_BYTES) -> None:
        """Keep the newest `cap` chunks of a channel, and so many bytes of them."""
        self._cap, self._cap_bytes = cap, cap_bytes
        self._lock = threading.Lock()
        self._books: dict[tuple[str, str], Book] = {}
        self._channels: dict[tuple[str, str], _Kept] = {}
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
            kept = self._channels.get((tenant_id, channel), _Kept())
            return list(islice((one for one, _ in kept.chunks if one.position > after), limit))

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
            size = _size_of(chunk)
            self._keep(
                tenant_id, run_channel(passage.run_id), Placed(position=chunk.sequence_number, chunk=chunk), size
            )
            for channel in passage.channels:
                self._positions += 1
                self._keep(tenant_id, channel, Placed(position=self._positions, chunk=chunk), size)
        return made if passage.is_heard else []

    def _keep(self, tenant_id: str, channel: str, placed: Placed, size: int) -> None:
        kept = self._channels.setdefault((tenant_id, channel), _Kept())
        kept.chunks.append((placed, size))
        kept.bytes += size
        while len(kept.chunks) > self._cap or (kept.bytes > self._cap_bytes and len(kept.chunks) > 1):
            kept.bytes -= kept.chunks.popleft()[1]


@dataclass
class _Kept:
    """What a channel keeps: its newest chunks, each with its size."""

    chunks: deque[tuple[Placed, int]] = field(default_factory=deque)
    bytes: int = 0


def _size_of(chunk: Chunk) -> int:
    data = json.dumps(chunk.data, ensure_ascii=False, separators=(",", ":"))
    return sum(len(text.encode()) for text in (chunk.event, data, str(chunk.timestamp), chunk.id))
