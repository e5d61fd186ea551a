"""The slots of what executes, on the in-memory gate: they are kept whatever has become of the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from celeriac.clock import ManualClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.flow.gate import Pool, Queued, TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.tasks.slots import SlotRenewal

DEAD = timedelta(seconds=10)
ONE = Pool(name="one at a time", slots=1)


class Away:
    """A database that answers nobody."""

    def __getattr__(self, name: str) -> Any:
        raise StoreUnavailable("gone")


class Bench:
    """A worker that executes one run, for which another one waits, and no database."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gate = LocalGate(self.clock, dead_after=DEAD)
        self.executing = [run("run_1")]
        self.meanwhile: Callable[[], object] = lambda: None
        away: Any = Away()
        engine: Any = SimpleNamespace(holding=self._look)
        dispatcher = Dispatcher(self.gate, self, lambda _: TenantLimits(), lambda: away.declared())
        self.round = SlotRenewal(away, dispatcher, engine)
        assert (self.picked(self.executing), self.picked([run("run_2")])) == (["run_1"], [])

    def _look(self) -> list[Queued]:
        executing = list(self.executing)
        self.meanwhile()
        return executing

    def picked(self, arriving: Sequence[Queued] = ()) -> list[str]:
        """Return what the gate lets go."""
        self.gate.attend("wrk_me", ["runs"], 10)
        return [run.run_id for run in self.gate.pick("runs", 10, arriving=arriving)]

    def publish(self, runs: Sequence[Queued]) -> None:
        """Send nothing."""

    def backlog(self, queue: str) -> int:
        return 0


def run(run_id: str) -> Queued:
    """Return a run of which the tenant may have one at a time."""
    return Queued(run_id=run_id, tenant_id="ten_a", queue="runs", fence=1, pools=(ONE,), function="app/f")


def test_slots_are_kept_for_as_long_as_the_database_is_away() -> None:
    """Else those who wait get them by time, and are too many when it is back."""
    bench = Bench()
    for _ in range(10):
        bench.clock.advance("2s")
        assert bench.round.run_once() == 1
    assert bench.picked() == []


def test_a_slot_that_nobody_renews_goes_to_who_waits() -> None:
    bench = Bench()
    bench.clock.advance("20s")
    assert bench.picked() == ["run_2"]


def test_a_link_that_ends_in_the_middle_of_a_round_keeps_no_slot() -> None:
    """It has given its slot back before the round took it anew."""
    bench = Bench()

    def end() -> None:
        bench.gate.release("run_1", 1)
        bench.executing = []

    bench.meanwhile = end
    bench.round.run_once()
    assert bench.picked() == ["run_2"]


def test_a_gate_that_breaks_ends_the_round_alone() -> None:
    """It is a hint."""
    bench = Bench()
    bench.executing = [SimpleNamespace()]  # type: ignore[list-item]
    assert bench.round.run_once() == 0
