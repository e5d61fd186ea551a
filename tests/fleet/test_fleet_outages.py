"""Redis and the database go away and come back; what was accepted runs, and what was done stays done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from celeriac.chaos.chronicle import keep_chronicle
from celeriac.database import connect
from fleet.servers import PostgresServer
from fleet.worker_fleet import Fleet
from services import fresh_database, running_postgres
from waiting import wait_until

RUNS, STEPS = 8, 100
RIGHT = [STEPS * n + sum(range(STEPS)) for n in range(RUNS)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres that may be crashed; it keeps each commit that it has confirmed."""
    with running_postgres() as url:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("ALTER ROLE postgres SET synchronous_commit = on")
        server = PostgresServer(url)
        yield server
        server.stop()


@pytest.fixture
def fleet(tmp_path: Path, postgres: PostgresServer) -> Iterator[Fleet]:
    """Two workers on that Postgres."""
    with fresh_database(postgres.url) as url, Fleet(tmp_path, url) as fleet:
        fleet.start_two()
        yield fleet


@pytest.fixture
def watched(tmp_path: Path, postgres: PostgresServer) -> Iterator[Fleet]:
    """Three workers that come back from an outage at different times, and triggers that note whose rows go."""
    with (
        fresh_database(postgres.url) as url,
        Fleet(tmp_path, url, CELERIAC_HEARTBEAT_SECONDS="1") as fleet,
    ):
        engine = connect(url)
        keep_chronicle(engine)
        engine.dispose()
        fleet.launch_two()
        fleet.start()
        for worker in fleet.workers:
            worker.wait_until_ready()
        yield fleet


def start_runs(fleet: Fleet, tenant_id: str) -> list[str]:
    """Send events and wait until all their runs are on their way."""
    data = [{"n": n, "steps": STEPS, "seconds": 0.02} for n in range(RUNS)]
    events = fleet.send_all(tenant_id, "fleet/counted", data)
    wait_until(lambda: len(fleet.notes.of("began", path="s3")) == RUNS, what="all runs to begin")
    return events


def worker_ids(fleet: Fleet) -> set[str]:
    """Return the ids of the workers."""
    return {row.id for row in fleet.sql("SELECT id FROM workers")}


def test_events_are_accepted_without_redis_and_run_when_it_is_back(tmp_path: Path) -> None:
    """SQL has them; reconcile finds what no message tells of."""
    with Fleet(tmp_path) as fleet:
        fleet.start()
        tenant = fleet.tenant()
        fleet.redis_server.stop()
        data = [{"n": n, "steps": 2} for n in range(5)]
        events = fleet.send_all(tenant, "fleet/counted", data)
        assert fleet.count("status = 'queued'") == 5
        fleet.redis_server.start()
        assert [fleet.ended(tenant, event, 30).output for event in events] == [2 * n + 1 for n in range(5)]
        assert len(fleet.notes.of("began")) == 10, "a step ran twice"
        assert fleet.held_keys() == []


def test_a_run_goes_on_without_redis(tmp_path: Path) -> None:
    """Links that execute need nothing but SQL."""
    with Fleet(tmp_path) as fleet:
        fleet.start()
        tenant = fleet.tenant()
        events = start_runs(fleet, tenant)
        fleet.redis_server.stop()
        fleet.wait_for_all(20)
        assert [fleet.run_of(tenant, event).output for event in events] == RIGHT
        assert len(fleet.notes.of("began")) == RUNS * STEPS, "a step ran twice"


def test_a_short_outage_of_the_database_costs_nobody_his_runs(fleet: Fleet, postgres: PostgresServer) -> None:
    """The journal tries again; workers whose heartbeat failed meanwhile are not judged."""
    tenant, before = fleet.tenant(), worker_ids(fleet)
    events = start_runs(fleet, tenant)
    postgres.crash()
    wait_until(lambda: all("journal waits" in worker.log for worker in fleet.workers), 2, "both journals to notice")
    postgres.start()
    fleet.reconnect()
    fleet.wait_for_all()
    assert [fleet.run_of(tenant, event).output for event in events] == RIGHT
    assert worker_ids(fleet) == before
    assert fleet.count("fence > 1") == 0, "a run was taken from a worker that lived"
    assert len(fleet.notes.of("began")) == RUNS * STEPS, "a step ran twice"


def test_a_long_outage_of_the_database_loses_nothing(fleet: Fleet, postgres: PostgresServer) -> None:
    """After the dead time workers let go and join anew; each run is cut off once at most, and goes on."""
    tenant = fleet.tenant()
    events = start_runs(fleet, tenant)
    postgres.crash()
    crashed = time.monotonic()
    wait_until(lambda: time.monotonic() - crashed > 3.5, what="the dead time to pass")
    postgres.start()
    fleet.reconnect()
    fleet.wait_for_all()
    assert [fleet.run_of(tenant, event).output for event in events] == RIGHT
    assert fleet.count("fence > 2") == 0
    assert len(fleet.notes.of("began")) <= RUNS * STEPS + RUNS
    assert fleet.sql("SELECT run_id FROM steps GROUP BY run_id HAVING count(*) <> max(seq)") == []


def test_after_a_long_outage_of_the_database_nobody_is_judged_by_another(
    watched: Fleet, postgres: PostgresServer
) -> None:
    """The first to be back finds all others as silent as it was itself; each joins anew by itself, as soon as it can.

    The row of a worker that others bury goes while its process has no other.
    """
    tenant, processes = watched.tenant(), sorted(worker.pid for worker in watched.workers)
    events = start_runs(watched, tenant)
    postgres.crash()
    crashed = time.monotonic()
    wait_until(lambda: time.monotonic() - crashed > 4.5, what="the dead time to pass")
    postgres.start()
    watched.reconnect()
    watched.wait_for_all()
    gone = "SELECT pid, has_heir FROM chaos_workers WHERE what = 'left' ORDER BY pid"
    left = wait_until(lambda: (rows := watched.sql(gone))[2:] and rows, what="all workers to be back")
    assert [(row.pid, row.has_heir) for row in left] == [(pid, True) for pid in processes]
    assert [watched.run_of(tenant, event).output for event in events] == RIGHT
