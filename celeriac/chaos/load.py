"""The load: a mixed stream of events for two tenants, with what must come of each of them.

Drawn from the seed like the plan. The load keeps sending through every fault: an event whose acceptance is unknown is
sent again under the same id, as any careful sender does.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TypeVar

from celeriac.errors import NotFoundError, StoreUnavailable
from celeriac.platform.durable.cancelling import cancel
from celeriac.tenants.quotas import Limits
from celeriac.wiring import Installation

#: how a run has to stand in the end; `cancelled` may have completed before
Ends = Literal["completed", "cancelled", "poisoned", "waiting"]

_TICK_SECONDS, _BURST = 0.25, 6
_SLOW_RUNS = 6
_AGAIN_SECONDS = 0.2
#: an answer or a cancellation that did not get through by then never will
_PATIENCE_SECONDS = 90.0

T = TypeVar("T")

#: sends what was drawn to a tenant, with its number and what distinguishes the tenants' answers
Send = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """An event that was accepted, and what must come of it."""

    event_id: str
    tenant_id: str
    function_id: str
    data: Mapping[str, Any]
    ends: Ends = "completed"
    output: Any = None
    #: seconds that must lie between the steps `before` and `after`, or the moment before which `after` may not begin
    rests: float | None = None
    rests_until: float | None = None


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """A run that somebody asked to end, with the times of the question and of its answer."""

    run_id: str
    asked_at: float
    answered_at: float


@dataclass
class Load:
    """Sends until it is told to stop; everything happens on one loop."""

    rooms: Installation
    seed: int
    #: what has to be added to the monotonic clock to get the database's
    offset: float
    sent: list[Sent] = field(default_factory=list)
    cancelled: list[Cancelled] = field(default_factory=list)
    #: what the door raised that no sender can be expected to handle
    surprises: list[str] = field(default_factory=list)
    tenants: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _ids: Iterator[int] = field(default_factory=itertools.count)
    _number: int = 0

    def __post_init__(self) -> None:
        """Draw from the seed."""
        self._chance = random.Random(f"load {self.seed}")

    async def run(self, seconds: float) -> None:
        """Send for so long, and let everything that follows from it be sent as well."""
        until = time.monotonic() + seconds
        for _ in range(_BURST):
            self._send_next()
        while time.monotonic() < until:
            self._send_next()
            await asyncio.sleep(_TICK_SECONDS)

    async def open(self, limits: tuple[Limits, Limits]) -> None:
        """Make the tenants, and a run for each that waits longer than any play lasts."""
        for name, own in zip(("Chaos North", "Chaos South"), limits, strict=True):
            tenant = await asyncio.to_thread(self.rooms.tenants.create, name, own)
            self.tenants.append(tenant.id)
        for tenant_id in self.tenants:
            self._start(tenant_id, "ask", {"n": -1, "seconds": 3_600.0}, ends="waiting")

    async def finish(self) -> None:
        """Wait until everything is sent."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Let nothing wait that was sent to wait for ever."""
        for sent in self.sent:
            if sent.ends == "waiting":
                await self._cancel(sent.tenant_id, sent.event_id)

    # -- what is sent -------------------------------------------------------------------------------------------

    def _send_next(self) -> None:
        """Send one event to both tenants, with the same number: none may hear the other's answer."""
        self._number += 1
        kinds: dict[Callable[[], Send], int] = {
            self._count: 3,
            self._flaky: 2,
            self._nap: 3,
            self._until: 1,
            self._ask: 3,
            self._late: 1,
            self._branch: 2,
            self._family: 4,
            self._ring: 1,
            self._race: 1,
            self._talk: 2,
            self._long: 2,
        }
        [kind] = self._chance.choices(list(kinds), list(kinds.values()))
        send = kind()
        for index, tenant_id in enumerate(self.tenants):
            send(tenant_id, self._number, 1_000 * index)

    def _count(self) -> Send:
        steps, seconds = self._chance.randrange(2, 15), round(self._chance.uniform(0.002, 0.03), 3)
        return lambda tenant, n, _: self._start(
            tenant, "count", {"n": n, "steps": steps, "seconds": seconds}, output=_sum(n, steps)
        )

    def _flaky(self) -> Send:
        steps = self._chance.randrange(1, 5)
        return lambda tenant, n, _: self._start(tenant, "flaky", {"n": n, "steps": steps}, output=_sum(n, steps))

    def _nap(self) -> Send:
        rests = round(self._chance.choice((0.2, 1.0, 3.0)) * self._chance.uniform(0.5, 1.5), 2)
        return lambda tenant, n, _: self._start(tenant, "nap", {"n": n, "seconds": rests}, output=2 * n, rests=rests)

    def _until(self) -> Send:
        at = time.monotonic() + self._chance.uniform(0, 4)
        data = {"at": datetime.fromtimestamp(at + self.offset, UTC).isoformat()}
        return lambda tenant, n, _: self._start(tenant, "until", {"n": n, **data}, output=2 * n, rests_until=at)

    def _ask(self) -> Send:
        after = self._chance.uniform(0, 4)

        def send(tenant: str, n: int, plus: int) -> None:
            self._start(tenant, "ask", {"n": n, "seconds": 600.0}, output=n + plus)
            self._spawn(self._tell(tenant, {"n": n, "plus": plus}, after))

        return send

    def _late(self) -> Send:
        rests = round(self._chance.uniform(0.5, 3), 2)
        return lambda tenant, n, _: self._start(tenant, "ask", {"n": n, "seconds": rests}, output=n, rests=rests)

    def _branch(self) -> Send:
        seconds = round(self._chance.uniform(0, 2), 2)
        return lambda tenant, n, _: self._start(tenant, "branch", {"n": n, "seconds": seconds}, output=222 * n)

    def _family(self) -> Send:
        kind, times = self._chance.choice((("parent", 2), ("invoker", 2), ("leaver", 1)))
        return lambda tenant, n, _: self._start(tenant, kind, {"n": n}, output=times * n)

    def _ring(self) -> Send:
        after = self._chance.uniform(0, 1)

        def send(tenant: str, n: int, plus: int) -> None:
            self._start(tenant, "ring", {"n": n}, output=n + plus, after=after)
            self._start(tenant, "ringer", {"n": n, "plus": plus}, output="heard", after=0.5)

        return send

    def _race(self) -> Send:
        return lambda tenant, n, _: self._start(tenant, "race", {"n": n}, output=n)

    def _talk(self) -> Send:
        turns = self._chance.randrange(1, 6)
        output = {"turns": turns, "sum": (turns + 1) // 2}
        return lambda tenant, n, _: self._start(tenant, "talk", {"n": n, "turns": turns}, output=output)

    def _long(self) -> Send:
        after = self._chance.uniform(0.1, 3)
        if self._chance.random() < 0.5:
            return lambda tenant, n, _: self._start(
                tenant, "nap", {"n": n, "seconds": 30.0}, ends="cancelled", output=2 * n, cancel=after
            )
        data = {"steps": 60, "seconds": 0.05}
        return lambda tenant, n, _: self._start(
            tenant, "count", {"n": n, **data}, ends="cancelled", output=_sum(n, 60), cancel=after
        )

    def send_slow(self) -> None:
        """Send runs whose bodies are long enough to outlast the silence of their worker."""
        for _ in range(_SLOW_RUNS):
            self._number += 1
            data = {"n": self._number, "steps": 3, "seconds": 2.5}
            self._start(self.tenants[0], "count", data, output=_sum(self._number, 3))

    def send_stubborn(self) -> None:
        """Send steps that resist: their timeouts, and whoever cancels their runs."""
        self._number += 1
        for tenant_id in self.tenants:
            for how, output in (("thread", "given up"), ("loop", "waited for")):
                self._start(tenant_id, "stubborn", {"n": self._number, "seconds": 3.0, "how": how}, output=output)
            data = {"n": self._number, "steps": 2, "seconds": 3.0}
            self._start(tenant_id, "count", data, ends="cancelled", output=_sum(self._number, 2), cancel=1.0)

    def send_deadly(self, deaths: int, number: int) -> None:
        """Send a run that kills its worker by this signal so many times; the third death in a row is the run's end."""
        self._number += 1
        data = {"n": self._number, "deaths": deaths, "number": number}
        self._start(
            self.tenants[0], "deadly", data, ends="poisoned" if deaths > 2 else "completed", output=self._number
        )

    # -- how it is sent -----------------------------------------------------------------------------------------

    def _start(
        self,
        tenant: str,
        function_id: str,
        data: dict[str, Any],
        *,
        after: float = 0.0,
        cancel: float | None = None,
        **facts: Any,
    ) -> None:
        async def start() -> None:
            await asyncio.sleep(after)
            event_id = await self._accept(tenant, f"chaos/{function_id}", data)
            if event_id is None:
                return
            self.sent.append(Sent(event_id=event_id, tenant_id=tenant, function_id=function_id, data=data, **facts))
            if cancel is not None:
                await asyncio.sleep(cancel)
                await self._cancel(tenant, event_id)

        self._spawn(start())

    async def _tell(self, tenant: str, data: dict[str, Any], after: float) -> None:
        await asyncio.sleep(after)
        await self._accept(tenant, "chaos/answer", data)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, tenant: str, name: str, data: dict[str, Any]) -> str | None:
        event = {"name": name, "data": data, "id": f"chaos-{next(self._ids)}"}
        accepted = await self._patiently(lambda: self.rooms.intake.accept(tenant, [event]))
        return None if accepted is None else accepted[0].id

    async def _cancel(self, tenant: str, event_id: str) -> None:
        runs = await self._patiently(lambda: self.rooms.reads.event_runs(tenant, event_id))
        for run in runs or []:
            asked_at = time.monotonic()
            done = await self._patiently(partial(cancel, self.rooms.store, self.rooms.gate, tenant, run.id))
            if done is not None:
                times = Cancelled(run_id=run.id, asked_at=asked_at, answered_at=time.monotonic())
                self.cancelled.append(times)

    async def _patiently(self, call: Callable[[], T]) -> T | None:
        """Repeat the call while the database does not answer; note what else it raises."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await asyncio.to_thread(call)
            except StoreUnavailable as error:
                if time.monotonic() > deadline:
                    self.surprises.append(f"for {_PATIENCE_SECONDS:g} s: {error}")
                    return None
            except NotFoundError as error:
                self.surprises.append(str(error))
                return None
            except Exception as error:  # noqa: BLE001  # that is what is looked for
                self.surprises.append(f"{type(error).__name__}: {error}"[:300])
                return None
            await asyncio.sleep(_AGAIN_SECONDS)


def _sum(n: int, steps: int) -> int:
    return steps * n + sum(range(steps))
