"""Reconcile on the in-memory twins: what the hints have lost is brought back from the truth."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from celeriac.clock import ManualClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.placed import Process, member
from celeriac.platform.durable.store import Link, Worker
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.local_store import LocalStore
from celeriac.tasks.reconcile import Reconcile

DEAD = timedelta(seconds=10)

#: a call of each part of a round
PARTS = ("neighbours", "held", "stranded_placed", "stranded")

#: of a process that there cannot be
GONE: dict[str, Any] = {"pid": 2**22 + 1, "pid_started": 1}


class Breaking(LocalStore):
    """A store of which one call of reconcile breaks."""

    broken = ""
    error: Exception = ValueError("broken")

    def neighbours(self, worker_id: str) -> Any:
        self._break("neighbours")
        return super().neighbours(worker_id)

    def held(self, worker_id: str) -> Any:
        self._break("held")
        return super().held(worker_id)

    def stranded_placed(self, *args: Any, **options: Any) -> Any:
        self._break("stranded_placed")
        return super().stranded_placed(*args, **options)

    def stranded(self, **options: Any) -> Any:
        self._break("stranded")
        return super().stranded(**options)

    def _break(self, call: str) -> None:
        if call == self.broken:
            raise self.error


@dataclass
class Fleet:
    """One worker's view: a store, a gate, and what was sent."""

    clock: ManualClock = field(default_factory=ManualClock)
    sent: list[Queued] = field(default_factory=list)
    executing: list[Queued] = field(default_factory=list)
    limits: TenantLimits = field(default_factory=TenantLimits)

    def __post_init__(self) -> None:
        self.store = Breaking(self.clock)
        self.store.declare("app", [Declaration(app="app", function_id="f", triggers=("go",))], [])
        self.gate = LocalGate(self.clock, dead_after=timedelta(days=1))
        self.gate.attend("wrk_me", ["runs"], 10_000)
        self.dispatcher = Dispatcher(self.gate, self, lambda _: self.limits)
        beat: Any = SimpleNamespace(worker=SimpleNamespace(id="wrk_me"), judges_as_of=None)
        engine: Any = SimpleNamespace(executing=lambda: self.executing)
        self.round = Reconcile(self.store, self.dispatcher, engine, beat, dead_after=DEAD)

    def publish(self, runs: Sequence[Queued]) -> None:
        self.sent += runs

    def backlog(self, queue: str) -> int:
        return 0

    def queue(self, tenant: str, count: int) -> list[Queued]:
        return self.store.ingest(tenant, [Event("go", {})] * count).queued


def test_a_claim_whose_answer_was_lost_is_put_back_after_two_rounds() -> None:
    fleet = Fleet()
    [run] = fleet.queue("ten_a", 1)
    assert fleet.store.claim(run.run_id, "wrk_me", Link(id="l", root_id="l")) is not None
    assert (fleet.round.run_once(), fleet.sent) == (0, [])
    assert fleet.round.run_once() == 1
    assert [(sent.run_id, sent.fence) for sent in fleet.sent] == [(run.run_id, 2)]


def test_a_run_that_executes_is_left_alone() -> None:
    fleet = Fleet()
    [run] = fleet.queue("ten_a", 1)
    fleet.store.claim(run.run_id, "wrk_me", Link(id="l", root_id="l"))
    fleet.executing = [run]
    assert [fleet.round.run_once() for _ in range(3)] == [0, 0, 0]


def test_a_run_behind_a_long_backlog_of_another_tenant_is_found() -> None:
    fleet = Fleet(limits=TenantLimits(running=2))
    fleet.queue("ten_loud", 1_500)
    [quiet] = fleet.queue("ten_quiet", 1)
    fleet.clock.advance("6s")
    found = [fleet.round.run_once() for _ in range(2)]
    assert sum(found) == 1_501
    assert quiet.run_id in {run.run_id for run in fleet.sent}


def test_a_run_that_begins_while_the_gate_is_asked_is_not_put_back() -> None:
    """A second message of it would take a slot for nothing, until that ends by time."""
    fleet = Fleet()
    [begun, lost] = fleet.queue("ten_a", 2)
    fleet.clock.advance("6s")
    known = fleet.gate.known

    def known_a_moment_later(run_ids: Sequence[str]) -> set[str]:
        fleet.store.claim(begun.run_id, "wrk_me", Link(id="l", root_id="l"))
        fleet.executing = [begun]
        return known(run_ids)

    fleet.gate.known = known_a_moment_later  # type: ignore[method-assign]
    assert fleet.round.run_once() == 1
    assert [run.run_id for run in fleet.sent] == [lost.run_id]


def test_a_placed_step_that_begins_while_the_gate_is_asked_is_not_put_back() -> None:
    fleet = Fleet()
    [run] = fleet.queue("ten_a", 1)
    claim = fleet.store.claim(run.run_id, "wrk_me", Link(id="l", root_id="l"))
    assert claim is not None
    fleet.executing = [run]
    for path in ("begun", "lost"):
        fleet.store.place(claim, path, "cpu", "[]")
    fleet.clock.advance("6s")
    fleet.gate.attend("wrk_me", ["runs", "cpu"], 10_000)
    known, process = fleet.gate.known, Process(worker_id="wrk_me", pid=os.getpid(), pid_started=0)

    def known_a_moment_later(run_ids: Sequence[str]) -> set[str]:
        fleet.store.claim_placed(run.run_id, "begun", process)
        return known(run_ids)

    fleet.gate.known = known_a_moment_later  # type: ignore[method-assign]
    fleet.round.run_once()
    assert [step.run_id for step in fleet.sent] == [member(run.run_id, "lost")]


def lost_in_each_way() -> tuple[Fleet, dict[str, str]]:
    """Return a fleet with something to bring back in each part of a round, and what that is."""
    fleet = Fleet()
    dead, idle, placing, lost = (run.run_id for run in fleet.queue("ten_a", 4))
    facts: dict[str, Any] = {
        "host": "h",
        "boot_id": "b",
        "pid_namespace": "n",
        "queues": ("runs",),
        "capacity": 1,
        **GONE,
    }
    link = Link(id="l", root_id="l")
    fleet.store.register(Worker(id="wrk_me", **facts))
    fleet.store.claim(idle, "wrk_me", link)
    placed = fleet.store.claim(placing, "wrk_me", link)
    assert placed is not None
    fleet.store.place(placed, "a", "cpu", "[]")
    fleet.executing = [Queued(run_id=placing, tenant_id="ten_a", queue="runs", fence=placed.fence)]
    fleet.round.run_once()  # what it does not execute has to stand for two rounds
    fleet.store.register(Worker(id="wrk_dead", **facts))
    fleet.store.claim(dead, "wrk_dead", link)
    fleet.store.claim_placed(placing, "a", Process(worker_id="wrk_me", **GONE))
    fleet.gate.attend("wrk_me", ["runs", "cpu"], 10_000)
    fleet.clock.advance("6s")
    return fleet, {"neighbours": dead, "held": idle, "stranded_placed": member(placing, "a"), "stranded": lost}


@pytest.mark.parametrize("broken", ["", *PARTS])
def test_a_part_that_breaks_leaves_the_others_alone(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    fleet, lost = lost_in_each_way()
    fleet.store.broken = broken
    with caplog.at_level(logging.ERROR):
        fleet.round.run_once()
    assert {run.run_id for run in fleet.sent} == {run_id for part, run_id in lost.items() if part != broken}
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [Breaking.error] * bool(broken)


@pytest.mark.parametrize("broken", PARTS)
def test_a_database_that_does_not_answer_ends_the_round(broken: str) -> None:
    fleet, _ = lost_in_each_way()
    fleet.store.broken, fleet.store.error = broken, StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable):
        fleet.round.run_once()
