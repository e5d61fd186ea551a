"""The journal: what the concurrent runs of one process make true, grouped.

Links hand it their claims, commits and endings from the loop; one writer thread takes all that wait and carries each
kind out in one transaction, then resolves the futures, in the order of the commits. A lone one is carried out at once.
It never touches a run otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Literal

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.memo import Entry, OutgoingEvent, StepDone, WaitBegun
from celeriac.platform.durable.store import Claim, ClaimWish, End, Store

log = logging.getLogger(__name__)

_Kind = Literal["commit", "finish", "claim"]
_Waiting = tuple[_Kind, Any, "asyncio.Future[Any]"]

#: runs that end make room for those that begin
_ORDER: tuple[_Kind, ...] = ("commit", "finish", "claim")
_LARGEST_GROUP = 500

#: A group ends with the item by which its texts come to so many characters: a statement that is as large as a gigabyte
#: is refused, and all that is sent has to fit into the memory of both sides several times.
_LONGEST_GROUP = 16 * 2**20

_BACKOFF_SECONDS = 0.2


class Journal:
    """Carries out claims, commits and endings in groups; one an engine."""

    def __init__(self, store: Store, *, worker_id: Callable[[], str] = str, patience: float = 30.0) -> None:
        """Claim for the worker of that id, read at each try; keep trying for `patience` seconds while SQL is away."""
        self._carry_out: dict[_Kind, Callable[[Sequence[Any]], Sequence[Any]]] = {
            "commit": store.commit,
            "finish": store.finish_all,
            "claim": lambda wishes: store.claim_all(wishes, worker_id()),
        }
        self._patience = patience
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    async def commit(self, entry: Entry, answer: asyncio.Future[int | None] | None = None) -> int | None:
        """Return the entry's seq once it is committed, or None when the fence is not the run's any more.

        `answer` is the future to resolve, where the caller has one. Raises `StoreUnavailable`, as the others do, when
        the database stays away for longer than the patience.
        """
        seq: int | None = await self._ask("commit", entry, answer)
        return seq

    async def claim(self, wish: ClaimWish) -> Claim | None:
        """Claim a queued run; None when it is not queued."""
        claim: Claim | None = await self._ask("claim", wish)
        return claim

    async def finish(self, end: End) -> bool:
        """End a run; False when the fence is old."""
        is_ended: bool = await self._ask("finish", end)
        return is_ended

    def close(self) -> None:
        """Carry out what waits and end the writer."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _ask(self, kind: _Kind, item: object, answer: asyncio.Future[Any] | None = None) -> asyncio.Future[Any]:
        self._ensure_writer()
        future: asyncio.Future[Any] = answer or asyncio.get_running_loop().create_future()
        self._queue.put((kind, item, future))
        return future

    def _ensure_writer(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write, name="celeriac-journal", daemon=True)
                    self._thread.start()

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            group, length = [first], _length(first[1])
            is_last = False
            while len(group) < _LARGEST_GROUP and length < _LONGEST_GROUP and not is_last:
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
                if item is None:
                    is_last = True
                else:
                    group.append(item)
                    length += _length(item[1])
            for kind in _ORDER:
                if part := [one for one in group if one[0] == kind]:
                    _answer(part, self._try(kind, [item for _, item, _ in part]))
            if is_last:
                return

    def _try(self, kind: _Kind, items: Sequence[Any]) -> Sequence[Any]:
        """Carry out a group; one that fails for its content is tried item by item, so that one fails alone."""
        deadline = time.monotonic() + self._patience
        level = logging.WARNING
        while True:
            try:
                return self._carry_out[kind](items)
            except StoreUnavailable as error:
                # The outcome of the COMMIT may be unknown; the store recognises what it has by its commit_id.
                if time.monotonic() > deadline:
                    return [error] * len(items)
                log.log(level, "The journal waits for the database with %d to %s: %s", len(items), kind, error)
                level = logging.DEBUG  # once is enough, as it is tried five times a second
                threading.Event().wait(_BACKOFF_SECONDS)
            except Exception as error:
                if len(items) == 1:
                    log.exception("The journal could not %s %s", kind, _shown(items[0]))
                    return [error]
                return [self._try(kind, [item])[0] for item in items]


def _length(item: object) -> int:
    """Return about how many characters an item comes to."""
    if isinstance(item, StepDone):
        own = len(item.value or "") + len(item.input or "")
        return own + _length_of(item.events) if item.events else own
    if isinstance(item, WaitBegun):
        return _length_of(item.events)
    if isinstance(item, End):
        return len(item.ending.output or "") + _length_of((item.event, *item.deferred))
    return 0


def _length_of(events: Sequence[OutgoingEvent]) -> int:
    return sum(len(event.data) for event in events)


def _shown(item: object) -> str:
    """Say which run it was, and where; never a value."""
    run = getattr(item, "run_id", None) or getattr(getattr(item, "claim", None), "run", None)
    return f"run {getattr(run, 'id', run)} at {getattr(item, 'path', '')!r}"


def _answer(group: Sequence[_Waiting], answers: Sequence[Any]) -> None:
    """Resolve the futures, with one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for (_, _, future), answer in zip(group, answers, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, answer))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, pairs)
        except RuntimeError:
            log.warning("A loop ended before %d of its commits were answered; replay will find them", len(pairs))


def _resolve(pairs: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in pairs:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
