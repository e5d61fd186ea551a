"""The round of bulk actions: pages are done until none is left, and the gate is told what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from celeriac.clock import SystemClock
from celeriac.database import connect, migrate
from celeriac.platform.durable.bulk import PAGE, BulkKind
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.durable.store import Link
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_store import SqlStore
from celeriac.tasks.bulk import BulkActions


@dataclass
class Fleet:
    """A store in SQLite, a gate without workers, and what was sent."""

    url: str
    sent: list[Queued] = field(default_factory=list)

    def __post_init__(self) -> None:
        migrate(self.url)
        engine = connect(self.url)
        self.store, self.operations = SqlStore(engine), SqlOperations(engine)
        self.store.declare("app", [Declaration(app="app", function_id="f", triggers=("go",))], [])
        self.gate = LocalGate(SystemClock(), dead_after=timedelta(days=1))
        self.dispatcher = Dispatcher(self.gate, self, lambda _: TenantLimits())
        self.round = BulkActions(self.operations, self.dispatcher)

    def publish(self, runs: Sequence[Queued]) -> None:
        self.sent += runs

    def backlog(self, queue: str) -> int:
        return 0

    def queue(self, tenant: str, count: int) -> list[str]:
        """Start runs that stand in their lane."""
        queued = self.store.ingest(tenant, [Event("go", {})] * count).queued
        self.dispatcher.dispatch(queued)
        return [run.run_id for run in queued]

    def begin(self, tenant: str, kind: BulkKind = "cancel") -> str:
        return self.operations.begin(tenant, kind, RunFilter(function_id="f")).id


@pytest.fixture
def fleet(sqlite_url: str) -> Fleet:
    return Fleet(sqlite_url)


def test_what_was_cancelled_stands_in_no_lane(fleet: Fleet) -> None:
    """Of several pages and several tenants."""
    runs = [*fleet.queue("ten_a", PAGE + 1), *fleet.queue("ten_b", 2)]
    kept = fleet.queue("ten_c", 2)
    fleet.begin("ten_a")
    fleet.begin("ten_b")
    assert fleet.round.run_once() == len(runs)
    assert fleet.gate.known([*runs, *kept]) == set(kept)
    assert fleet.operations.running() == []
    assert fleet.round.run_once() == 0


def test_what_is_done_again_is_sent(fleet: Fleet) -> None:
    fleet.queue("ten_a", 3)
    fleet.begin("ten_a")
    fleet.round.run_once()
    fleet.gate.attend("wrk_one", ["runs"], 100)
    fleet.begin("ten_a", "rerun")
    assert fleet.round.run_once() == 3
    assert len(fleet.sent) == 3
    assert all(fleet.store.claim(run.run_id, "wrk_one", link(run)) is not None for run in fleet.sent)


def link(run: Queued) -> Link:
    """Return the link of a run."""
    return Link(id=run.run_id, root_id=run.run_id)
