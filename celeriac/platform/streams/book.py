"""The book of a stream: what a run's drafts become, decided in memory.

Pure: it keeps no time and does no I/O. The twin of `lua/streams/append.lua`, which decides the same in Redis; a random
program in the tests compares the two. Used by the stream in memory and by plain scripts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import REASONS, Draft

#: what a failed part says of itself, and a run that ends with another one
_PART_FIELDS = ("partId", "runId", "messageId", "type", "threadId")
_RUN_FIELDS = ("runId", "parentRunId", "scope", "name", "messageId", "threadId")
_END_FIELDS = ("scope", "messageId", "threadId")

SUPERSEDED = "superseded by another reply"
ENDED = "the run ended before it"


@dataclass(frozen=True)
class _Part:
    id: str
    slot: str
    message: str
    run: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class _Run:
    id: str
    parent: str
    data: Mapping[str, Any]


class Book:
    """The chunks that a run has told so far, as far as the next ones depend on them."""

    def __init__(self) -> None:
        """Begin with number 0."""
        self._next = 0
        self._fence = 0
        self._seen: set[str] = set()
        #: by part, which piece comes next; None: the part is over
        self._pieces: dict[str, int | None] = {}
        self._parts: list[_Part] = []
        self._runs: list[_Run] = []
        self._made: list[Chunk] = []

    def take(self, drafts: Sequence[Draft], *, fence: int = 0) -> list[Chunk]:
        """Return the chunks that come of the drafts; none where the fence is older than one before."""
        if fence < self._fence:
            return []
        self._made = []
        for draft in drafts:
            self._take(draft)
        if self._made:
            self._fence = fence
        return self._made

    def has(self, id: str) -> bool:
        """Whether a draft of this id was told, where its kind leaves it in the book."""
        return id in self._seen

    def _take(self, draft: Draft) -> None:
        match draft.kind:
            case "once":
                if self._mark(draft.id):
                    self._add(draft.event, draft.id, draft, draft.data)
            case "begin":
                if self._mark(draft.id):
                    self._add(draft.event, draft.id, draft, draft.data)
                    self._runs.append(_Run(draft.run, draft.parent, draft.data))
            case "end":
                self._end(draft)
            case "open":
                self._open(draft)
            case "more":
                place = self._pieces.get(draft.part)
                if place is not None and draft.index >= place:
                    self._pieces[draft.part] = draft.index + draft.span
                    self._add(draft.event, draft.id, draft, draft.data)
            case "done":
                if self._pieces.get(draft.part) is not None:
                    self._pieces[draft.part] = None
                    self._parts = [part for part in self._parts if part.id != draft.part]
                    self._add(draft.event, draft.id, draft, draft.data)
            case "settle":
                self._fail([part for part in self._parts if part.slot == draft.slot], draft, SUPERSEDED, True)
            case "close":
                self._close(draft)

    def _mark(self, id: str) -> bool:
        is_new = id not in self._seen
        self._seen.add(id)
        return is_new

    def _add(self, event: str, id: str, cause: Draft, data: Mapping[str, Any]) -> None:
        chunk = Chunk(event=event, data=dict(data), timestamp=cause.timestamp, sequence_number=self._next, id=id)
        self._made.append(chunk)
        self._next += 1

    # -- parts --------------------------------------------------------------------------------------------------

    def _open(self, draft: Draft) -> None:
        if draft.part in self._pieces:
            return
        before = [part for part in self._parts if part.slot == draft.slot and part.message != draft.message]
        self._fail(before, draft, SUPERSEDED, True)
        self._add(draft.event, draft.id, draft, draft.data)
        self._pieces[draft.part] = 0
        self._parts.append(_Part(draft.part, draft.slot, draft.message, draft.run, draft.data))

    def _fail(self, parts: Sequence[_Part], cause: Draft, error: str, is_recoverable: bool) -> None:
        for part in parts:
            self._pieces[part.id] = None
            self._parts.remove(part)
            data = _picked(part.data, _PART_FIELDS) | {"error": error, "recoverable": is_recoverable}
            self._add("part.failed", f"{part.id}:failed", cause, data)

    # -- runs ---------------------------------------------------------------------------------------------------

    def _end(self, draft: Draft) -> None:
        if draft.id in self._seen:
            return
        inner = {draft.run}
        for run in self._runs:
            if run.parent in inner:
                inner.add(run.id)
        for run in reversed([one for one in self._runs if one.id in inner and one.id != draft.run]):
            self._conclude(run, draft)
        self._mark(draft.id)
        self._fail([part for part in self._parts if part.run == draft.run], draft, ENDED, False)
        self._add(draft.event, draft.id, draft, draft.data)
        self._runs = [run for run in self._runs if run.id != draft.run]

    def _conclude(self, run: _Run, cause: Draft) -> None:
        """End a run as the one around it ends."""
        self._fail([part for part in self._parts if part.run == run.id], cause, ENDED, False)
        id = f"{run.id}:ended"
        if self._mark(id):
            self._add(cause.event, id, cause, _picked(run.data, _RUN_FIELDS) | _picked(cause.data, REASONS))
        self._runs.remove(run)

    def _close(self, draft: Draft) -> None:
        if not self._runs:
            return
        outermost = self._runs[0]
        for run in reversed(self._runs[:]):
            self._conclude(run, draft)
        id = f"{outermost.id}:stream"
        if self._mark(id):
            self._add("stream.ended", id, draft, _picked(outermost.data, _END_FIELDS))


def _picked(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: data[name] for name in names if name in data}
