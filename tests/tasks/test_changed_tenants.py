"""Changed tenants: what an operator changes binds the runs that are queued already."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from celeriac.clock import ManualClock
from celeriac.database import connect, migrate
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.tasks.changed_tenants import ChangedTenants
from celeriac.tenants.plans import Plans
from celeriac.tenants.quotas import Limits
from celeriac.tenants.tenant import Tenants


class Unsent:
    """Takes no message."""

    def publish(self, runs: object) -> None:
        raise AssertionError("nothing is sent here")

    def backlog(self, queue: str) -> int:
        return 0


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine over an empty installation."""
    migrate(database_url)
    engine = connect(database_url)
    yield engine
    engine.dispose()


def limits(engine: Engine, tenant_id: str) -> TenantLimits:
    """Read the tenant's limits as they are now."""
    return TenantLimits(running=Tenants(engine).limits(tenant_id).running)


def queued(engine: Engine, tenant_id: str, run_id: str) -> Queued:
    """Return a run that waits for its first link."""
    return Queued(run_id=run_id, tenant_id=tenant_id, queue="runs", fence=1, limits=limits(engine, tenant_id))


@pytest.mark.parametrize("way", ["own", "plan"])
def test_a_limit_that_is_raised_lets_go_what_is_queued(engine: Engine, way: str) -> None:
    """Whether it is the tenant's own or its plan's, and though nothing of it arrives."""
    tenants, plans = Tenants(engine), Plans(engine)
    gate = LocalGate(ManualClock(), dead_after=timedelta(days=1))
    plans.set("small", {"running": 1})
    tenant = tenants.create("Acme", plan="small")
    gate.attend("wrk_a", ["runs"], 10)
    gate.enqueue([queued(engine, tenant.id, run_id) for run_id in ("run_a", "run_b")])
    assert len(gate.pick("runs", 10)) == 1
    if way == "own":
        tenants.set_limits(tenant.id, Limits(running=2))
    else:
        plans.set("small", {"running": 2})
    assert ChangedTenants(tenants, Dispatcher(gate, Unsent(), lambda one: limits(engine, one))).run_once() == 1
    assert len(gate.pick("runs", 10)) == 1
