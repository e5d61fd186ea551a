"""The writer: puts what the runs of one process tell into the stream, away from their loop.

One thread takes all that waits, joins the pieces of a text that came together, and appends it run by run in one go.
What the stream does not take is dropped with one warning: nobody's run waits for those who watch it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue

from celeriac.platform.run import Run
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import Draft
from celeriac.platform.streams.stream import Passage, Stream, StreamUnavailable

log = logging.getLogger(__name__)

#: for how long what is told may wait for more, so that tokens go together
PAUSE_SECONDS = 0.03
#: for how long a stream that does not answer is left alone
_BREAK_SECONDS = 1.0
_FLUSH_SECONDS = 2.0
_MOST_WAITING = 100_000
_MOST_AT_ONCE = 2_000
#: Redis does nothing else while it takes a passage
_MOST_IN_A_PASSAGE = 500


@dataclass(frozen=True, slots=True)
class Told:
    """Something that a link told: drafts, or what makes them unless the draft `unless` was told."""

    tenant_id: str
    run_id: str
    fence: int
    channels: tuple[str, ...] = ()
    hearers: tuple[Callable[[Chunk], None], ...] = ()
    drafts: Sequence[Draft] = ()
    unless: str = ""
    make: Callable[[], Sequence[Draft]] = tuple


@dataclass
class _Batch:
    """What is appended at once; `passages` and `hearers` go side by side."""

    passages: list[Passage] = field(default_factory=list)
    hearers: list[tuple[Callable[[Chunk], None], ...]] = field(default_factory=list)


def closing(run: Run, fence: int, now: datetime) -> Told:
    """Return what ends the stream of a run that ended while it was telling; nothing comes of it elsewhere."""
    return Told(run.tenant_id, run.id, fence, drafts=(closing_draft(run, now),))


def closing_draft(run: Run, now: datetime) -> Draft:
    """Return the draft that ends whatever the run has open."""
    event, data = "run.interrupted", dict[str, object](reason=run.reason or run.status)
    if run.status == "failed":
        event, data = "run.failed", {"error": (run.error or {}).get("message", ""), "recoverable": False}
    if run.status == "completed":
        event, data = "run.completed", {}
    at = int(now.timestamp() * 1000)
    return Draft(kind="close", id=f"{run.id}:closed", event=event, data=data, timestamp=at)


class ChunkWriter:
    """Appends in a thread of its own; one an engine."""

    def __init__(self, stream: Stream, *, most: int = _MOST_WAITING) -> None:
        """Write to `stream`, with at most so many things waiting; the thread starts at the first of them."""
        self._stream, self._most = stream, most
        self._queue: SimpleQueue[Told | Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._hurry = threading.Event()
        self._silent_until = 0.0
        self._is_down = self._is_full = False

    def write(self, told: Told) -> None:
        """Take something to write; drops it, with one warning, where too much waits."""
        self._ensure_thread()
        waiting = self._queue.qsize()
        if waiting < self._most:
            self._is_full = self._is_full and waiting > self._most // 2
            self._queue.put(told)
        elif not self._is_full:
            self._is_full = True
            log.warning("Runs tell more than the stream takes: %d things wait, and what comes is dropped", waiting)

    def afterwards(self, then: Callable[[], None]) -> None:
        """Call `then`, in the writer's thread, when all that was told up to now is written."""
        self._ensure_thread()
        self._queue.put(then)

    def flush(self, seconds: float = _FLUSH_SECONDS) -> None:
        """Return when all that was told up to now is written, or after that time."""
        if self._thread is not None:
            is_written = threading.Event()
            self.afterwards(is_written.set)
            self._hurry.set()
            is_written.wait(seconds)

    async def flushed(self, seconds: float = _FLUSH_SECONDS) -> None:
        """Flush from a loop."""
        await asyncio.to_thread(self.flush, seconds)

    def close(self) -> None:
        """Write what waits and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._hurry.set()
            self._thread.join(_FLUSH_SECONDS)
            self._thread = None

    def _ensure_thread(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="celeriac-chunks", daemon=True)
                    self._thread.start()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            self._hurry.wait(PAUSE_SECONDS)
            self._hurry.clear()
            items, is_last = [first], False
            while len(items) < _MOST_AT_ONCE and not is_last:
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
                is_last = item is None
                if item is not None:
                    items.append(item)
            self._write([item for item in items if isinstance(item, Told)])
            for item in items:
                if not isinstance(item, Told):
                    item()
            if is_last:
                return

    def _write(self, items: Sequence[Told]) -> None:
        """Append what was told; where the stream does not take it, it is lost."""
        if not items or time.monotonic() < self._silent_until:
            return
        try:
            batch = self._batch(items)
            if batch.passages:
                self._hand_on(batch, self._appended(batch.passages))
            if self._is_down:
                log.warning("The stream answers again")
            self._is_down = False
        except StreamUnavailable as error:
            if not self._is_down:
                log.warning("The stream does not answer, what runs tell is dropped: %s", error.message)
            self._is_down = True
            self._silent_until = time.monotonic() + _BREAK_SECONDS
        except Exception:
            log.exception("%d things that runs told could not be written", len(items))

    def _appended(self, passages: Sequence[Passage]) -> list[list[Chunk]]:
        """Append the passages, each by itself where one of them cannot be, so that no other run loses what it told."""
        try:
            return self._stream.append(passages)
        except StreamUnavailable:
            raise
        except Exception:
            if len(passages) > 1:
                return [self._appended([one])[0] for one in passages]
            log.exception("What run %s told could not be written", passages[0].run_id)
            return [[]]

    def _batch(self, items: Sequence[Told]) -> _Batch:
        """Put together what belongs to one run and goes to the same channels, each run's in its order."""
        missing = self._missing(items)
        batch = _Batch()
        last: dict[tuple[str, str], tuple[tuple[object, ...], list[Draft]]] = {}
        for item in items:
            is_wanted = not item.unless or (item.run_id, item.unless) in missing
            drafts = _drafts_of(item) if is_wanted else ()
            if not drafts:
                continue
            key = (item.fence, item.channels, item.hearers)
            known, into = last.get((item.tenant_id, item.run_id), ((), []))
            if known != key or len(into) > _MOST_IN_A_PASSAGE:
                into = []
                last[item.tenant_id, item.run_id] = (key, into)
                batch.hearers.append(item.hearers)
                batch.passages.append(
                    Passage(
                        tenant_id=item.tenant_id,
                        run_id=item.run_id,
                        fence=item.fence,
                        channels=item.channels,
                        drafts=into,
                        is_heard=bool(item.hearers),
                    )
                )
            _join(into, drafts)
        return batch

    def _missing(self, items: Sequence[Told]) -> set[tuple[str, str]]:
        """Return the (run, id) of what is to be told only where it was not yet, and was not."""
        asked: dict[tuple[str, str], list[str]] = {}
        for item in items:
            if item.unless:
                asked.setdefault((item.tenant_id, item.run_id), []).append(item.unless)
        missing: set[tuple[str, str]] = set()
        for (tenant_id, run_id), ids in asked.items():
            told = self._stream.told(tenant_id, run_id, ids)
            missing.update((run_id, id) for id, is_told in zip(ids, told, strict=True) if not is_told)
        return missing

    def _hand_on(self, batch: _Batch, made: Iterable[Sequence[Chunk]]) -> None:
        for hearers, chunks in zip(batch.hearers, made, strict=True):
            for chunk in chunks:
                for hear in hearers:
                    hear(chunk)


def _drafts_of(item: Told) -> Sequence[Draft]:
    """Return what is to be told; nothing where it cannot be made, so that what others told is not lost with it."""
    if not item.unless:
        return item.drafts
    try:
        return item.make()
    except Exception:
        log.exception("What run %s has told could not be told again", item.run_id)
        return ()


def _join(into: list[Draft], drafts: Sequence[Draft]) -> None:
    """Add drafts, the pieces of one part that follow each other as one."""
    for draft in drafts:
        joined = into[-1].joined(draft) if into else None
        if joined is None:
            into.append(draft)
        else:
            into[-1] = joined
