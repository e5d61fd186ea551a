"""The outlet: where the drafts of one run go from where they are told.

`InPlace` numbers them at once, for plain scripts and whoever listens there; `OfLink` hands them to the writer of the
process, for one link of a durable run. Kernels have one; agents and `ctx.publish` tell through it, in their run's loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from celeriac.platform.run import Run
from celeriac.platform.streams.book import Book
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import Draft
from celeriac.platform.streams.writer import ChunkWriter, Told

#: is told each chunk, in order, from any thread
Hearer = Callable[[Chunk], None]


class Audience:
    """Who is told: the channels of a run of a network and of those around it, and those who listen here."""

    def __init__(self, outlet: Outlet, channels: Sequence[str] = (), hearers: Sequence[Hearer] = ()) -> None:
        """Tell through `outlet`; the channel of the run is told always."""
        self.outlet = outlet
        self._channels = tuple(channels)
        self._hearers = tuple(hearers)

    def with_more(self, channels: Sequence[str], hearers: Sequence[Hearer]) -> Audience:
        """Return an audience that has these as well."""
        more = [one for one in channels if one not in self._channels]
        return Audience(self.outlet, (*self._channels, *more), (*self._hearers, *hearers))

    def add(self, channel: str) -> None:
        """Tell this channel too from now on."""
        if channel not in self._channels:
            self._channels = (*self._channels, channel)

    @property
    def is_there(self) -> bool:
        """Whether anybody may be listening."""
        return self.outlet.keeps or bool(self._hearers)

    def tell(self, drafts: Sequence[Draft]) -> None:
        """Tell; what was told before is passed over."""
        self.outlet.tell(drafts, self._channels, self._hearers)

    def tell_unless(self, id: str, make: Callable[[], Sequence[Draft]]) -> None:
        """Tell what `make` returns, unless the draft of this id was told; then nothing is made."""
        self.outlet.tell_unless(id, make, self._channels, self._hearers)


class Outlet(Protocol):
    """Takes the drafts of one run, in order."""

    #: whether they are kept for somebody who is not here
    keeps: bool

    def tell(self, drafts: Sequence[Draft], channels: Sequence[str], hearers: Sequence[Hearer]) -> None:
        """Take drafts; never fails for what becomes of them."""
        ...

    def tell_unless(
        self, id: str, make: Callable[[], Sequence[Draft]], channels: Sequence[str], hearers: Sequence[Hearer]
    ) -> None:
        """Take what `make` returns unless the draft of this id was told."""
        ...

    def afterwards(self, then: Callable[[], None]) -> None:
        """Call `then`, from any thread, when all that was told has come to the hearers or is lost."""
        ...

    async def handed_on(self) -> None:
        """Return when all that was told has come to the hearers, or after a short time."""
        ...


class InPlace:
    """Numbers what is told for those who listen in this process, and keeps nothing."""

    keeps = False

    def __init__(self) -> None:
        """Begin with number 0."""
        self._book = Book()

    def tell(self, drafts: Sequence[Draft], channels: Sequence[str], hearers: Sequence[Hearer]) -> None:
        if not hearers:
            return
        for chunk in self._book.take(drafts):
            for hear in hearers:
                hear(chunk)

    def tell_unless(
        self, id: str, make: Callable[[], Sequence[Draft]], channels: Sequence[str], hearers: Sequence[Hearer]
    ) -> None:
        if hearers and not self._book.has(id):
            self.tell(make(), channels, hearers)

    def afterwards(self, then: Callable[[], None]) -> None:
        then()

    async def handed_on(self) -> None:
        """Return at once."""


class OfLink:
    """Hands what a link tells to the writer; what the link has told itself is not told again."""

    keeps = True

    def __init__(self, writer: ChunkWriter, run: Run, fence: int) -> None:
        """Tell for this run, as long as the link has it."""
        self._writer = writer
        self._run = (run.tenant_id, run.id, fence)
        self._told: set[str] = set()

    def tell(self, drafts: Sequence[Draft], channels: Sequence[str], hearers: Sequence[Hearer]) -> None:
        new = [draft for draft in drafts if draft.id not in self._told]
        if new:
            # Of a part's pieces the first alone: the others are never told again, and there are as many as tokens.
            self._told.update(draft.id for draft in new if draft.kind != "more" or not draft.index)
            self._writer.write(Told(*self._run, tuple(channels), tuple(hearers), drafts=new))

    def tell_unless(
        self, id: str, make: Callable[[], Sequence[Draft]], channels: Sequence[str], hearers: Sequence[Hearer]
    ) -> None:
        if id not in self._told:
            self._told.add(id)
            self._writer.write(Told(*self._run, tuple(channels), tuple(hearers), unless=id, make=make))

    def afterwards(self, then: Callable[[], None]) -> None:
        self._writer.afterwards(then)

    async def handed_on(self) -> None:
        await self._writer.flushed()
