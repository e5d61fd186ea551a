"""The journal: commits of the concurrent runs of one process, grouped.

Kernels hand it entries from the loop; one writer thread takes all that wait and commits them in one transaction, then
resolves their futures, in the order of the commits. A lone entry commits at once. It never touches a run otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.memo import Entry
from celeriac.platform.durable.store import Store

log = logging.getLogger(__name__)

Answer = int | None | Exception
_Waiting = tuple[Entry, "asyncio.Future[int | None]"]

_LARGEST_GROUP = 500
_BACKOFF_SECONDS = 0.2


class Journal:
    """Commits entries in groups; one an engine."""

    def __init__(self, store: Store, *, patience: float = 30.0) -> None:
        """Keep trying for `patience` seconds when the database does not answer."""
        self._store = store
        self._patience = patience
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    async def commit(self, entry: Entry) -> int | None:
        """Return the entry's seq once it is committed, or None when the fence is not the run's any more.

        Raises `StoreUnavailable` when the database stays away for longer than the journal's patience.
        """
        self._ensure_writer()
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._queue.put((entry, future))
        return await future

    def close(self) -> None:
        """Commit what waits and end the writer."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _ensure_writer(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write, name="celeriac-journal", daemon=True)
                    self._thread.start()

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            is_last = False
            while len(group) < _LARGEST_GROUP and not is_last:
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
                if item is None:
                    is_last = True
                else:
                    group.append(item)
            _answer(group, self._commit([entry for entry, _ in group]))
            if is_last:
                return

    def _commit(self, entries: Sequence[Entry]) -> Sequence[Answer]:
        """Commit a group; one that fails for its content is tried entry by entry, so that one fails alone."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._store.commit(entries)
            except StoreUnavailable as error:
                # The outcome of the COMMIT may be unknown; the store recognises what it has by its commit_id.
                if time.monotonic() > deadline:
                    return [error] * len(entries)
                log.warning("The journal waits for the database with %d entries", len(entries))
                threading.Event().wait(_BACKOFF_SECONDS)
            except Exception as error:
                if len(entries) == 1:
                    log.exception("An entry of run %s at %r was not committed", entries[0].run_id, entries[0].path)
                    return [error]
                return [self._commit([entry])[0] for entry in entries]


def _answer(group: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
    """Resolve the futures, with one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[int | None], Answer]]] = {}
    for (_, future), answer in zip(group, answers, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, answer))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, pairs)
        except RuntimeError:
            log.warning("A loop ended before %d of its commits were answered; replay will find them", len(pairs))


def _resolve(pairs: Sequence[tuple[asyncio.Future[int | None], Answer]]) -> None:
    for future, answer in pairs:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
