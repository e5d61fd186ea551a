"""A death at each point: a scenario is played again and again, and each time the worker dies one commit later.

What was committed stands, the worker is told nothing any more, and another one takes the run up. Each message is given
to two workers at once, as a broker may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from celeriac import App, Run
from celeriac.clock import ManualClock
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.memo import Entry, Wait
from celeriac.platform.durable.store import Claim, Signalled
from celeriac.platform.store.local_store import LocalStore
from engine_stage import TENANT, Stage, new_app, soon

MOST_POINTS = 60


class DyingStore(LocalStore):
    """A store at whose n-th write for a link the workers that execute die, and again so many writes `later`."""

    def __init__(self, clock: ManualClock, at: int, *later: int) -> None:
        super().__init__(clock)
        self._left = at
        self._later = list(later)
        self.has_died = False

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        answers: list[int | None] = []
        for entry in entries:
            answers += super().commit([entry])
            if self._dies():
                answers[-1] = None
        return answers

    def await_event(self, claim: Claim, wait: Wait, *, look_back: timedelta | None = None) -> Wait | None:
        registered = super().await_event(claim, wait, look_back=look_back)
        return None if self._dies() else registered

    def signal(self, tenant_id: str, name: str, data: Any, *, id: str | None = None) -> Signalled:
        signalled = super().signal(tenant_id, name, data, id=id)
        self._dies()
        return signalled

    def _dies(self) -> bool:
        self._left -= 1
        if self._left != 0:
            return False
        self.has_died = True
        self.bury(["a", "b"])
        if self._later:
            self._left = self._later.pop(0)
        return True


@dataclass
class Play:
    """One playing of a scenario."""

    stage: Stage
    #: what the scenario's bodies note
    effects: list[Any] = field(default_factory=list)

    async def settle(self) -> None:
        """Advance all runs until each has ended or waits, each message on two workers at once."""
        store = self.stage.store
        while True:
            store.match_pending()
            store.wake_due()
            queued = [stored.run.id for stored in store.all.values() if stored.run.status == "queued"]
            if not queued:
                return
            links = [self.stage.advance(run_id, worker) for run_id in queued for worker in "ab"]
            await soon(asyncio.gather(*links))

    async def send(self, event: str, data: Any = None) -> None:
        """Take in an event and settle."""
        self.stage.send(event, data)
        await self.settle()

    async def pass_time(self, time: str) -> None:
        """Move the clock and settle."""
        self.stage.pass_time(time)
        await self.settle()

    def signal(self, name: str, data: Any = None) -> bool:
        """Give a signal from outside."""
        return self.stage.store.signal(TENANT, name, data).is_awaited

    def run_of(self, function_id: str) -> Run:
        """Return the latest run of a function."""
        return [stored.run for stored in self.stage.store.all.values() if stored.run.function_id == function_id][-1]


async def play_with_a_death_at_each_point(
    declare: Callable[[App, list[Any]], None],
    drive: Callable[[Play], Awaitable[Any]],
    *,
    conduct: Conduct | None = None,
) -> list[Any]:
    """Return what `drive` returns, without a death and then with one at each point."""
    outcomes = []
    for at in range(MOST_POINTS):
        app, clock = new_app(), ManualClock()
        store = DyingStore(clock, at)
        async with Stage(app_with(app, declare, effects := []), store=store, clock=clock, conduct=conduct) as stage:
            outcomes.append(await drive(Play(stage, effects)))
        if at and not store.has_died:
            return outcomes[:-1]
    raise AssertionError(f"the scenario has more than {MOST_POINTS} points")


def app_with(app: App, declare: Callable[[App, list[Any]], None], effects: list[Any]) -> App:
    """Declare the scenario's functions."""
    declare(app, effects)
    return app
