"""The round of retention: one worker, one batch at a time, and a long rest after each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select, update

from celeriac.database import connect, migrate, reading, transaction
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.store import Worker
from celeriac.platform.event import Event
from celeriac.platform.store.tables import events, run_keys, runs
from celeriac.settings import Settings
from celeriac.tasks.retention import LEAST_REST_SECONDS, PASS_SECONDS, REST, Retention
from celeriac.tenants.audit_filter import AuditFilter
from celeriac.tenants.idempotency import KEPT_FOR, KeyedRequest
from celeriac.tenants.tables import audit_log, given_answers
from celeriac.wiring import Installation, build


@dataclass
class Watch:
    """A clock that a batch moves by its `cost`."""

    now: float = 0.0
    cost: float = 0.0

    def __call__(self) -> float:
        self.now += self.cost / 2  # it is asked before and after
        return self.now


@pytest.fixture
def rooms(sqlite_url: str, redis_url: str) -> Installation:
    """An installation that keeps runs for 30 days."""
    migrate(sqlite_url)
    installation = build(Settings(database_url=sqlite_url, redis_url=redis_url))
    installation.store.declare("app", [Declaration(app="app", function_id="f", triggers=("go",))], [])
    return installation


@pytest.fixture
def engine(rooms: Installation) -> Engine:
    """The same database."""
    return connect(rooms.settings.database_url)


def ended(rooms: Installation, engine: Engine, days: int, count: int = 1) -> str:
    """Return a tenant that has runs which ended so many days ago."""
    tenant_id = rooms.tenants.create(f"{days} days").id
    for run in rooms.store.ingest(tenant_id, [Event("go")] * count).queued:
        rooms.store.cancel(tenant_id, run.run_id)
    rooms.store.match_pending()
    ago = rooms.store.now() - timedelta(days=days)
    with transaction(engine) as connection:
        moved = {"created_at": ago, "ended_at": ago}
        connection.execute(update(runs).where(runs.c.tenant_id == tenant_id).values(moved))
        connection.execute(update(events).where(events.c.tenant_id == tenant_id).values(received_at=ago))
    return tenant_id


def left(engine: Engine) -> dict[str, int]:
    """Return how many runs each tenant has."""
    statement = select(runs.c.tenant_id, func.count()).group_by(runs.c.tenant_id)
    with reading(engine) as connection:
        return {row[0]: row[1] for row in connection.execute(statement)}


def retention(rooms: Installation, watch: Watch, worker_id: str = "wrk_a") -> Retention:
    """Return the round of a worker."""
    beat: Any = SimpleNamespace(worker=SimpleNamespace(id=worker_id))
    return Retention(rooms, beat, dead_after=timedelta(seconds=10), clock=watch)


def pass_over(round: Retention, watch: Watch) -> int:
    """Do a whole pass; return how many rows went."""
    deleted, began = 0, watch.now
    while watch.now < began + PASS_SECONDS / 2:
        deleted += round.run_once()
        watch.now += LEAST_REST_SECONDS
    return deleted


def test_each_tenant_keeps_runs_for_its_own_time(rooms: Installation, engine: Engine) -> None:
    """Nobody's are deleted who keeps them for ever."""
    old, young, brief, ever = (ended(rooms, engine, days) for days in (31, 29, 3, 400))
    for tenant_id, days in ((brief, 2), (ever, 0)):
        rooms.tenants.set_limits(tenant_id, replace(rooms.tenants.get(tenant_id).limits, retention_days=days))
    watch = Watch()
    assert pass_over(retention(rooms, watch), watch) == 2 * 3, "a run, its event, and that of its end, of two tenants"
    assert left(engine) == {young: 1, ever: 1}
    assert old not in left(engine)


def test_the_audit_log_is_kept_for_its_own_time(rooms: Installation, engine: Engine) -> None:
    """Of tenants that keep their runs for ever too, and of the installation."""
    tenant_id = rooms.tenants.create("bank").id
    rooms.tenants.change_limits(tenant_id, {"retention_days": 0})
    for days in (399, 401):
        for owner in (tenant_id, None):
            rooms.audit.note(owner, actor="system", action="days.passed", subject=str(days))
        ago = rooms.store.now() - timedelta(days=days)
        with transaction(engine) as connection:
            connection.execute(update(audit_log).where(audit_log.c.subject == str(days)).values(at=ago))
    watch, where = Watch(), AuditFilter(action="days.passed")
    assert pass_over(retention(rooms, watch), watch) == 2
    assert [one.subject for owner in (tenant_id, None) for one in rooms.audit.entries(owner, where)] == ["399", "399"]


def test_an_audit_log_that_is_kept_for_ever_stays(rooms: Installation, engine: Engine) -> None:
    ended(rooms, engine, 1)
    with transaction(engine) as connection:
        connection.execute(update(audit_log).values(at=rooms.store.now() - timedelta(days=30_000)))
    ever = replace(rooms, settings=rooms.settings.model_copy(update={"audit_retention_days": 0}))
    watch = Watch()
    assert pass_over(retention(ever, watch), watch) == 0


def test_the_audit_log_goes_batch_by_batch(rooms: Installation, engine: Engine) -> None:
    """With a rest after each, as with runs."""
    rows = [{"id": f"aud_{n}", "actor": "a", "action": "b.c", "subject": "d", "detail": "{}"} for n in range(501)]
    at = rooms.store.now() - timedelta(days=401)
    with transaction(engine) as connection:
        connection.execute(insert(audit_log), [{**row, "tenant_id": None, "at": at} for row in rows])
    watch = Watch()
    round = retention(rooms, watch)
    assert (round.run_once(), round.run_once()) == (500, 0)
    watch.now += LEAST_REST_SECONDS
    assert round.run_once() == 1


def test_answers_go_that_are_given_no_more(rooms: Installation, engine: Engine) -> None:
    """Also those of tenants that never send a key again."""
    tenant_id = rooms.tenants.create("bank").id
    asked = [KeyedRequest(tenant_id=tenant_id, route="POST /v1/signals", key=key, body={}) for key in ("old", "new")]
    for one in asked:
        rooms.given_answers.begin(one)
    ago = rooms.store.now() - KEPT_FOR - timedelta(minutes=1)
    with transaction(engine) as connection:
        connection.execute(update(given_answers).where(given_answers.c.key == "old").values(created_at=ago))
    watch = Watch()
    assert pass_over(retention(rooms, watch), watch) == 1
    with reading(engine) as connection:
        assert connection.execute(select(given_answers.c.key)).scalars().all() == ["new"]


def test_keys_of_runs_go_that_are_free(rooms: Installation, engine: Engine) -> None:
    """All of them in one pass, also those of tenants who keep their runs for ever."""
    tenant_id = rooms.tenants.create("bank").id
    rooms.tenants.change_limits(tenant_id, {"retention_days": 0})
    then = rooms.store.now() - timedelta(days=2)
    times = dict.fromkeys(("begun_at", "event_ts", "expires_at"), then)
    place = {"tenant_id": tenant_id, "app": "app", "function_id": "f", "kind": "idempotency", "run_id": "run_gone"}
    with transaction(engine) as connection:
        rows = [{**place, **times, "key": str(n), "gathered": 1, "size": 0} for n in range(1_001)]
        connection.execute(insert(run_keys), rows)
    watch = Watch()
    assert pass_over(retention(rooms, watch), watch) == 1_001


def test_it_rests_for_longer_than_a_batch_took(rooms: Installation, engine: Engine) -> None:
    ended(rooms, engine, 40, count=201)
    watch = Watch(cost=0.5)
    round = retention(rooms, watch)
    assert round.run_once() == 200
    watch.cost = 0
    assert round.run_once() == 0
    watch.now += REST * 0.2
    assert round.run_once() == 0, "it has not rested yet"
    watch.now += REST * 0.3
    assert round.run_once() == 1


def test_after_a_pass_it_rests_until_the_next(rooms: Installation, engine: Engine) -> None:
    watch = Watch()
    round = retention(rooms, watch)
    assert pass_over(round, watch) == 0
    ended(rooms, engine, 31)
    assert round.run_once() == 0
    watch.now += PASS_SECONDS
    assert pass_over(round, watch) == 3


def test_only_the_worker_that_came_first_deletes(rooms: Installation, engine: Engine) -> None:
    """The others take over when it is gone."""
    ended(rooms, engine, 31)
    facts = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 1, "pid_started": 1, "capacity": 1}
    for worker_id in ("wrk_a", "wrk_b"):
        rooms.store.register(Worker(id=worker_id, queues=("runs",), **facts))  # type: ignore[arg-type]
    watch = Watch()
    second = retention(rooms, watch, "wrk_b")
    assert pass_over(second, watch) == 0
    rooms.store.retire("wrk_a")
    assert pass_over(second, watch) == 3
