"""Reconcile on the in-memory twins: what the hints have lost is brought back from the truth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from celeriac.clock import ManualClock
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.placed import Process, member
from celeriac.platform.durable.store import Link
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.local_store import LocalStore
from celeriac.tasks.reconcile import Reconcile

DEAD = timedelta(seconds=10)


@dataclass
class Fleet:
    """One worker's view: a store, a gate, and what was sent."""

    clock: ManualClock = field(default_factory=ManualClock)
    sent: list[Queued] = field(default_factory=list)
    executing: list[Queued] = field(default_factory=list)
    limits: TenantLimits = field(default_factory=TenantLimits)

    def __post_init__(self) -> None:
        self.store = LocalStore(self.clock)
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
