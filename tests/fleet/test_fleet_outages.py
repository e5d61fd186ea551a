"""Redis and the database go away and come back; what was accepted runs, and what was done stays done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import accumulate
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
#: longer than the dead time, and than a slot lives that nobody renews
AWAY_SECONDS = 6.0
RIGHT = [STEPS * n + sum(range(STEPS)) for n in range(RUNS)]

#: runs that were queued again in the middle of their one body: no link gives such a run back by itself
TAKEN = """
SELECT m.run_id FROM chaos_moves m JOIN runs r ON r.id = m.run_id AND r.function_id = 'whose'
WHERE m.was = 'running' AND m.became = 'queued'
  AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.run_id = m.run_id AND s.committed_at <= m.at)"""


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
    """Three workers that come back from an outage at different times, one for placed steps, and a chronicle."""
    with (
        fresh_database(postgres.url) as url,
        Fleet(tmp_path, url, CELERIAC_HEARTBEAT_SECONDS="1") as fleet,
    ):
        engine = connect(url)
        keep_chronicle(engine)
        engine.dispose()
        fleet.launch_two()
        fleet.launch()
        fleet.launch(queues="cpu", concurrency=1)
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


def test_after_a_long_outage_of_the_database_nobody_is_judged_by_another(
    watched: Fleet, postgres: PostgresServer
) -> None:
    """The first to be back finds all others as silent as it was itself; each goes on with what it was executing."""
    tenant, before = watched.tenant(), worker_ids(watched)
    events = start_runs(watched, tenant)
    outlasting = watched.send_all(tenant, "fleet/whose", [{"seconds": AWAY_SECONDS + 1}] * RUNS)
    [placed] = watched.send_all(tenant, "fleet/placed", [{"n": 1, "seconds": AWAY_SECONDS}])
    for path, number in (("who", RUNS), ("crunch", 1)):
        wait_until(lambda path=path, number=number: len(watched.notes.of("began", path=path)) == number, what=path)
    stay_away(postgres)
    watched.reconnect()
    watched.wait_for_all()
    assert worker_ids(watched) == before
    assert watched.sql("SELECT id FROM chaos_workers WHERE what = 'left'") == []
    assert watched.sql(TAKEN) == [], "a run was taken from a link that executed"
    assert len(watched.notes.of("began")) == RUNS * STEPS + RUNS + 2, "a step ran twice"
    assert [watched.run_of(tenant, event).output for event in (*events, placed)] == [*RIGHT, 2]
    assert {watched.run_of(tenant, event).status for event in outlasting} == {"completed"}
    assert watched.sql("SELECT run_id FROM steps GROUP BY run_id HAVING count(*) <> max(seq)") == []


def test_after_a_long_outage_of_the_database_no_limit_is_exceeded(watched: Fleet, postgres: PostgresServer) -> None:
    """Bodies that outlast it keep their slots at the gate, though all slots would have ended by time meanwhile."""
    tenant = watched.tenant(running=3)
    watched.send_all(tenant, "fleet/whose", [{"seconds": AWAY_SECONDS + 2}] * 3 + [{"seconds": 0.1}] * 5)
    wait_until(lambda: len(watched.notes.of("began")) == 3, what="as many bodies to begin as may")
    stay_away(postgres)
    watched.reconnect()
    watched.wait_for_all()
    assert len(watched.notes.of("began")) == 8, "a step ran twice"
    assert most_at_once(watched) == 3


def test_an_outage_of_the_database_is_two_lines_of_a_worker(watched: Fleet, postgres: PostgresServer) -> None:
    """Ten rounds of each notice it, some of them ten times a second."""
    stay_away(postgres, seconds=2)
    for worker in watched.workers:
        wait_until(lambda worker=worker: "answers again" in worker.log, what="the rounds to go on")
        assert worker.log.count("does not answer") == worker.log.count("answers again after") == 1, worker.log


def stay_away(postgres: PostgresServer, seconds: float = AWAY_SECONDS) -> None:
    """Crash Postgres, and start it again so much later."""
    postgres.crash()
    crashed = time.monotonic()
    wait_until(lambda: time.monotonic() - crashed > seconds, what="the outage to pass")
    postgres.start()


def most_at_once(fleet: Fleet) -> int:
    """Return how many bodies executed at the same time."""
    turns = [(one["time"], 1) for one in fleet.notes.of("began")] + [(o["time"], -1) for o in fleet.notes.of("ended")]
    return max(accumulate(change for _, change in sorted(turns)))
