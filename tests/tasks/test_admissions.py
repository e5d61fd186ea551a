"""Admissions: what the gate has lost of functions' limits, or has not heard of yet, is told anew from the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from redis import Redis

from celeriac.clock import Clock, ManualClock, SystemClock
from celeriac.platform.durable.declaration import Declaration, StartRules
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.memo import Wait, WaitBegun
from celeriac.platform.durable.store import Claim, Link
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Gate, Queued, TenantLimits
from celeriac.platform.flow.limits import Concurrency, Throttle
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.redis_connection import connect
from celeriac.platform.store.redis_gate import RedisGate
from celeriac.tasks.admissions import Admissions
from waiting import wait_until

DEAD = timedelta(seconds=10)
ONE_RUN = StartRules(concurrency=(Concurrency(1, hold="run"),))


class Fleet:
    """One worker's view: a store, a gate, and what was sent."""

    def __init__(self, gate: Gate, clock: Clock, rules: StartRules) -> None:
        self.sent: list[str] = []
        self.store = LocalStore(clock)
        self.declare(rules)
        self.gate = gate
        self.gate.attend("wrk_me", ["runs"], 1_000)
        generous = TenantLimits(starts_per_second=1e9, starts_burst=100_000)
        self.dispatcher = Dispatcher(gate, self, lambda _: generous, self.store.declared)
        self.round = Admissions(self.store, self.dispatcher)

    def declare(self, rules: StartRules) -> None:
        self.store.declare("app", [Declaration(app="app", function_id="f", triggers=("go",), rules=rules)], [])

    def publish(self, runs: Sequence[Queued]) -> None:
        self.sent += [run.run_id for run in runs]

    def backlog(self, queue: str) -> int:
        return 0

    def start(self, count: int = 1) -> list[str]:
        """Start runs, and return how many of all are sent by now."""
        queued = self.store.ingest("ten_a", [Event("go", {})] * count).queued
        self.dispatcher.dispatch(queued)
        return [run.run_id for run in queued]

    def park(self, run_id: str) -> Claim:
        """Let a run begin and sleep."""
        claim = self.store.claim(run_id, "wrk_me", Link(id="l", root_id="l"))
        assert claim is not None
        wait = Wait(path="nap", kind="sleep", wake_at=self.store.now() + timedelta(days=9))
        right = {"run_id": run_id, "tenant_id": "ten_a", "fence": claim.fence}
        self.store.commit([WaitBegun(**right, path="nap", wait=wait)])
        assert self.store.park(claim)
        self.dispatcher.send_picked("runs", ended=[self.store.holding_of([run_id])[0]])
        return claim

    def look(self) -> int:
        """Do a round and pick; return how many runs were sent in all."""
        self.round.run_once()
        self.dispatcher.send_picked("runs")
        return len(self.sent)


@pytest.fixture(params=["local", "redis"])
def fleet_of(request: pytest.FixtureRequest) -> Callable[[StartRules], Fleet]:
    """Make a fleet on each gate in turn."""
    if request.param == "local":
        clock = ManualClock()
        return lambda rules: Fleet(LocalGate(clock, dead_after=DEAD), clock, rules)
    redis: Redis = connect(request.getfixturevalue("redis_url"))
    request.addfinalizer(redis.close)
    return lambda rules: Fleet(RedisGate(redis, dead_after=DEAD), SystemClock(), rules)


def test_a_larger_limit_lets_go_what_is_queued(fleet_of: Callable[[StartRules], Fleet]) -> None:
    fleet = fleet_of(StartRules(concurrency=(Concurrency(1),)))
    fleet.start(4)
    assert fleet.look() == 1
    fleet.declare(StartRules(concurrency=(Concurrency(3),)))
    assert fleet.look() == 3


def test_a_smaller_limit_holds_for_what_is_queued(fleet_of: Callable[[StartRules], Fleet]) -> None:
    fleet = fleet_of(StartRules(concurrency=(Concurrency(2),)))
    first, second, *_ = fleet.start(5)
    fleet.declare(StartRules(concurrency=(Concurrency(1),)))
    assert fleet.look() == 2
    fleet.gate.release(first, 1)
    assert fleet.look() == 2
    fleet.gate.release(second, 1)
    assert fleet.look() == 3


@pytest.mark.parametrize(
    "rules", [StartRules(concurrency=(Concurrency(1),)), StartRules(throttle=Throttle(1, per=timedelta(days=7)))]
)
def test_a_limit_that_is_declared_no_more_binds_nobody(
    fleet_of: Callable[[StartRules], Fleet], rules: StartRules
) -> None:
    fleet = fleet_of(rules)
    fleet.start(4)
    assert fleet.look() == 1
    fleet.declare(StartRules())
    assert fleet.look() == 4


def test_a_lost_redis_learns_again_who_holds_a_pool(redis_url: str) -> None:
    redis: Redis = connect(redis_url)
    fleet = Fleet(RedisGate(redis, dead_after=timedelta(seconds=1)), SystemClock(), ONE_RUN)
    [first] = fleet.start()
    claim = fleet.park(first)
    redis.flushall()
    fleet.gate.attend("wrk_me", ["runs"], 1_000)
    wait_until(lambda: not redis.exists("cel:gate:settling"), 10, "the gate to settle")
    fleet.round.run_once()
    fleet.start()
    assert fleet.sent == [first]
    fleet.store.cancel("ten_a", claim.run.id)
    fleet.dispatcher.forget([first])
    assert fleet.look() == 2
    redis.close()


def test_a_pool_whose_run_ended_unseen_is_given_back() -> None:
    clock = ManualClock()
    fleet = Fleet(LocalGate(clock, dead_after=DEAD), clock, ONE_RUN)
    [first] = fleet.start()
    fleet.park(first)
    fleet.start()
    fleet.store.cancel("ten_a", first)
    assert fleet.look() == 1
    clock.advance("2m")
    fleet.gate.attend("wrk_me", ["runs"], 1_000)
    assert fleet.look() == 2


def test_a_run_that_sleeps_for_long_keeps_its_pool() -> None:
    clock = ManualClock()
    fleet = Fleet(LocalGate(clock, dead_after=DEAD), clock, ONE_RUN)
    [first] = fleet.start()
    fleet.park(first)
    fleet.start()
    for _ in range(30):
        clock.advance("1h")
        fleet.gate.attend("wrk_me", ["runs"], 1_000)
        assert fleet.look() == 1


def test_a_pool_stays_with_a_run_that_is_picked_and_not_claimed_yet(fleet_of: Callable[[StartRules], Fleet]) -> None:
    """Its message may be on its way for longer than a minute: it is not ended."""
    fleet = fleet_of(ONE_RUN)
    [first], [second] = fleet.start(), fleet.start()
    assert fleet.sent == [first]
    fleet.gate.unconfirmed = lambda most: [first]  # type: ignore[method-assign]  # as after a minute
    assert fleet.look() == 1
    assert fleet.gate.explain(second) is not None
