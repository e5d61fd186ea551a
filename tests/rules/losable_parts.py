"""What the world of the engine's machine can take away: a worker's way to the store, and the gate.

Both pass everything on to the real part behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celeriac.clock import ManualClock
from celeriac.platform.durable.memo import Entry, Wait
from celeriac.platform.durable.store import Claim, ClaimWish, End, Store
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.local_gate import LocalGate

#: the dead time of the world's workers
DEAD_AFTER = timedelta(days=1)


class Wire:
    """One worker's way to the store: notes the claim of each link, and can be cut, as a kill cuts it."""

    def __init__(self, store: Store, fences: dict[str, int], wrongs: list[str]) -> None:
        self._store = store
        #: the last fence of each run, whoever got it
        self._fences = fences
        self._wrongs = wrongs
        #: the last claim of each link
        self.claims: dict[str, Claim] = {}
        self.is_cut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def claim_all(self, wishes: Sequence[ClaimWish], worker_id: str) -> list[Claim | None]:
        """Claim and note."""
        if self.is_cut:
            return [None] * len(wishes)
        claims = self._store.claim_all(wishes, worker_id)
        for claim in filter(None, claims):
            self.claims[claim.link.id] = claim
            self._fences[claim.run.id] = claim.fence
        return claims

    def fence_of(self, link_id: str) -> int | None:
        """Return the fence that a link got last."""
        claim = self.claims.get(link_id)
        return None if claim is None else claim.fence

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        """Commit, unless the worker is no more."""
        if self.is_cut:
            return [None] * len(entries)
        late = [entry.fence < self._fences[entry.run_id] for entry in entries]
        answers = self._store.commit(entries)
        for entry, is_late, seq in zip(entries, late, answers, strict=True):
            if is_late and seq is not None:
                self._wrongs.append(f"{entry.path!r} of {entry.run_id} was committed by a link that had lost the run")
        return answers

    def finish_all(self, ends: Sequence[End]) -> list[bool]:
        """End runs, unless the worker is no more."""
        return [False] * len(ends) if self.is_cut else self._store.finish_all(ends)

    def park(self, claim: Claim, *, reason: str | None = None) -> bool:
        """Park a run, unless the worker is no more."""
        return not self.is_cut and self._store.park(claim, reason=reason)

    def await_event(self, claim: Claim, wait: Wait, *, look_back: timedelta | None = None) -> Wait | None:
        """Register a wait, unless the worker is no more."""
        return None if self.is_cut else self._store.await_event(claim, wait, look_back=look_back)

    def refresh(self, claim: Claim) -> Claim | None:
        """Look at a claim, unless the worker is no more."""
        return None if self.is_cut else self._store.refresh(claim)

    def requeue(self, claim: Claim) -> Queued | None:
        """Queue a run, unless the worker is no more."""
        return None if self.is_cut else self._store.requeue(claim)

    def give_back(self, run_id: str, fence: int) -> Queued | None:
        """Queue a run, unless the worker is no more."""
        return None if self.is_cut else self._store.give_back(run_id, fence)


class LosableGate:
    """A gate that can be lost, as Redis can."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.lose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gate, name)

    def lose(self) -> None:
        """Forget everything."""
        self._gate = LocalGate(self._clock, dead_after=DEAD_AFTER)
