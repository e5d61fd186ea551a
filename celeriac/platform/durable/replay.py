"""Replay: what a run remembers, handed out in the order in which it came to be.

Memos are delivered in the order of their commits, in replay and in the first execution alike: one at a time, each
once the code that the one before it moved has come to rest. So branches that ran side by side meet again as they met
before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import Context, ContextVar
from heapq import heappop, heappush
from itertools import count

from celeriac.platform.durable.memo import Memo, Wait
from celeriac.platform.durable.parking import Parking

#: what was come to in the branch of a race that we are in, and in those of the races around it
_come_to: ContextVar[tuple[set[str], ...]] = ContextVar("celeriac_come_to", default=())


class Replay:
    """The memos and waits of a run, and which of them its code has come to in this link."""

    def __init__(self, memos: Sequence[Memo], waits: Sequence[Wait], parking: Parking) -> None:
        """Start before the first of them is asked for."""
        self._parking = parking
        self.memos: dict[str, Memo] = {memo.path: memo for memo in memos}
        self.waits: dict[str, Wait] = {wait.path: wait for wait in waits}
        self._undelivered = outermost(self.memos, self.waits)
        self._unasked = {path for path in self._undelivered if path in self.memos}
        #: futures of those that wait for their turn, by seq; one that was cancelled stays in
        self._turns: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = count()
        self._is_delivering = False

    @property
    def has_more(self) -> bool:
        """Whether there is something that the code has not come to."""
        return bool(self._undelivered)

    def ask(self, path: str) -> Memo | None:
        """Return the memo of a step that the code has come to; None where it is new, or begun and not done."""
        for paths in _come_to.get():
            paths.add(path)
        self._unasked.discard(path)
        memo = self.memos.get(path)
        if memo is None:
            self._undelivered.discard(path)
        return memo

    async def deliver(self, memo: Memo) -> None:
        """Wait until it is the memo's turn: no code is about to run, and no earlier one is asked for."""
        try:
            if not self._parking.is_single:
                await self._turn(memo.seq)
        finally:
            self._undelivered.discard(memo.path)

    def keep(self, memo: Memo) -> None:
        """Remember a new step, which takes its turn like all others."""
        self.memos[memo.path] = memo
        self._undelivered.add(memo.path)

    def drop(self, paths: Collection[str]) -> None:
        """Expect nothing any more at these paths and below them: the losers of a race."""
        gone = {path for path in self._undelivered if _is_at(paths, path)}
        self._undelivered -= gone
        self._unasked -= gone

    def passed_over(self, path: str, *, since: int) -> list[str]:
        """Return what the code should have come to before a new step at `path`, behind the seq `since`.

        What is below the path is still to come, and so is what is in a body that is tried again: it may go another way.
        """
        if not self._unasked or "" in self.waits:  # the function's own body is tried again
            return []
        tried = {one for one, wait in self.waits.items() if wait.kind == "retry" and one}
        return [
            one
            for one in sorted(self._unasked, key=lambda one: self.memos[one].seq)
            if self.memos[one].seq > since and not one.startswith(f"{path}/") and not _is_at(tried, one)
        ]

    async def _turn(self, seq: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._turns, (seq, next(self._number), future))
        if not self._is_delivering:
            self._is_delivering = True
            self._parking.when_still(self._deliver_next)
        with self._parking.busy():
            await future

    def _deliver_next(self) -> None:
        while self._turns:
            future = heappop(self._turns)[2]
            if not future.done():
                future.set_result(None)
                break
        self._is_delivering = bool(self._turns)
        if self._turns:
            self._parking.when_still(self._deliver_next)


def note_steps(context: Context, paths: set[str]) -> None:
    """Note in `paths` what is come to in this context; what is around it goes on to note it as well."""
    context.run(_come_to.set, (*context.get(_come_to, ()), paths))


def outermost(memos: Mapping[str, Memo], waits: Iterable[str]) -> set[str]:
    """Return the paths that replay comes to again: those of memos and begun waits that no memo contains.

    A race contains nothing, as its winner is awaited again; what belongs to its losers is never come to.
    """
    races = [memo for memo in memos.values() if memo.kind == "race"]
    whole = memos.keys() - {race.path for race in races}
    dropped = {path for race in races for path in losers_of(race)}
    paths = {path for path in (*memos, *waits) if path}
    outer = (path for path in paths if not any(around in whole for around in _around(path)))
    return {path for path in outer if not _is_at(dropped, path)}


def losers_of(race: Memo) -> list[str]:
    """Return the paths that the losers of a race came to; those below them are theirs as well."""
    paths: list[str] = json.loads(race.value or "{}").get("dropped", [])
    return paths


def _is_at(paths: Collection[str], path: str) -> bool:
    return bool(paths) and (path in paths or any(around in paths for around in _around(path)))


def _around(path: str) -> Iterator[str]:
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)
