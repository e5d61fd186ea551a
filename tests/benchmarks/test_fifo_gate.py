"""The control arm's Gate is the plain list that it is said to be: what it lets happen, the product must not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis import Redis

from benchmarks.tenants.fifo_gate import FifoGate
from celeriac.platform.flow.gate import Queued, TenantLimits


@pytest.fixture
def gate(redis_url: str) -> Iterator[FifoGate]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        gate = FifoGate(client, dead_after=timedelta(seconds=10))
        gate.attend("wrk_1", ["runs"], 5)
        yield gate


def queued(name: str, tenant: str = "ten_a", limits: TenantLimits | None = None) -> Queued:
    return Queued(run_id=name, tenant_id=tenant, queue="runs", fence=1, limits=limits or TenantLimits())


def test_runs_are_picked_in_the_order_of_their_arrival_whosever_they_are(gate: FifoGate) -> None:
    """Up to a fifth more than there are slots."""
    gate.enqueue([queued(f"noisy_{number}") for number in range(8)])
    gate.enqueue([queued("quiet", tenant="ten_b")])
    first = gate.pick("runs", 100)
    assert [run.run_id for run in first] == [f"noisy_{number}" for number in range(6)]
    then = gate.pick("runs", 100, ended=first)
    assert [run.run_id for run in then] == ["noisy_6", "noisy_7", "quiet"]


def test_a_run_that_may_not_start_holds_up_all_behind_it(gate: FifoGate) -> None:
    """Also those of other tenants."""
    throttled = TenantLimits(starts_per_second=0.001, starts_burst=1)
    gate.enqueue([queued("first", limits=throttled), queued("second", limits=throttled)])
    gate.enqueue([queued("quiet", tenant="ten_b")])
    assert [run.run_id for run in gate.pick("runs", 100)] == ["first"]
    assert gate.pick("runs", 100) == []
    assert gate.waiting("runs") == 2


def test_a_run_is_known_until_it_has_started(gate: FifoGate) -> None:
    """Else reconcile would bring it again and again."""
    gate.pick("runs", 0, arriving=[queued("run_1")])
    assert gate.known(["run_1", "run_2"]) == {"run_1"}
    gate.started(queued("run_1"))
    assert gate.known(["run_1"]) == set()
