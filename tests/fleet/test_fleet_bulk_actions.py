"""Bulk actions by real workers: whoever is killed in the middle, each run is changed once and none is left out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celeriac.platform.durable.bulk import BulkAction
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.tasks.bulk import BulkActions
from fleet.worker_fleet import Fleet
from services import fresh_database
from waiting import wait_until

#: enough for twenty pages
RUNS = 1_000

ASKED = RunFilter(function_id="ask")


@pytest.fixture(params=["sqlite", "postgres"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet without workers, on each database."""
    if request.param == "sqlite":
        with Fleet(tmp_path) as fleet:
            yield fleet
        return
    with fresh_database(request.getfixturevalue("postgres_server")) as url, Fleet(tmp_path, url) as fleet:
        yield fleet


def declare(fleet: Fleet) -> None:
    """Let a worker declare its functions and leave."""
    assert fleet.start().stop() == 0


def send(fleet: Fleet, tenant_id: str, number: int) -> None:
    """Start runs that come to wait for an answer."""
    for start in range(0, number, 1_000):
        data = [{"n": n} for n in range(start, min(start + 1_000, number))]
        fleet.send_all(tenant_id, "fleet/asked", data)


def progress(fleet: Fleet, action: BulkAction) -> BulkAction:
    """Return the action as it stands."""
    return fleet.rooms.operations.action(action.tenant_id, action.id)


def kill_in_the_middle(fleet: Fleet, action: BulkAction, at: int) -> None:
    """Start two workers, and kill both once so many runs have been seen."""
    workers = fleet.launch_two()
    wait_until(lambda: progress(fleet, action).seen >= at, 60, f"{at} runs to be seen")
    for worker in workers:
        worker.kill()


def cancel_under_fire(fleet: Fleet, tenant_id: str, number: int) -> float:
    """Cancel so many runs while workers are killed twice; return the seconds from the last start to the end."""
    send(fleet, tenant_id, number)
    action = fleet.rooms.operator.begin(tenant_id, "cancel", ASKED)
    assert action.total == number
    for part in (4, 2):
        kill_in_the_middle(fleet, action, number // part)
    assert progress(fleet, action).status == "running", "it was over before the workers were killed"
    fleet.start_two()
    began = time.monotonic()
    wait_until(lambda: progress(fleet, action).is_over, 60, "the action to end")
    took = time.monotonic() - began
    over = progress(fleet, action)
    assert (over.status, over.seen) == ("completed", number)
    goes_on = "tenant_id = :tenant AND ended_at IS NULL"
    wait_until(lambda: not fleet.count(goes_on, tenant=tenant_id), 60, "those that were executing to end")
    assert over.changed == fleet.count("tenant_id = :tenant AND status = 'cancelled'", tenant=tenant_id) == number
    return took


def test_a_bulk_cancel_survives_the_death_of_all_workers(fleet: Fleet) -> None:
    """Runs that were queued, parked and executing alike, and those of others go on."""
    declare(fleet)
    tenant, other = fleet.tenant(), fleet.tenant("other")
    send(fleet, other, 5)
    cancel_under_fire(fleet, tenant, RUNS)
    told = "SELECT count(*), count(DISTINCT run_id) FROM events WHERE name = 'celeriac/run.cancelled'"
    assert [tuple(row) for row in fleet.sql(told)] == [(RUNS, RUNS)]
    wait_until(lambda: fleet.count("tenant_id = :other AND status = 'parked'", other=other) == 5, 20, "others to park")
    wait_until(lambda: fleet.held_keys() == [], 20, "the gate to let go of all")


def test_a_replay_survives_the_death_of_all_workers(fleet: Fleet) -> None:
    """Each run is done again once."""
    declare(fleet)
    tenant, number = fleet.tenant(), 300
    fleet.send_all(tenant, "fleet/told", [{"n": n} for n in range(number)])
    cancelled = fleet.rooms.operator.begin(tenant, "cancel", RunFilter(function_id="told"))
    round = BulkActions(fleet.rooms.upkeep, fleet.rooms.dispatcher)
    while not progress(fleet, cancelled).is_over:
        round.run_once()
    action = fleet.rooms.operator.begin(tenant, "rerun", RunFilter(status="cancelled"))
    kill_in_the_middle(fleet, action, 50)
    fleet.start_two()
    wait_until(lambda: progress(fleet, action).is_over, 60, "the action to end")
    fleet.wait_for_all(60)
    repeated = fleet.sql("SELECT count(*), count(DISTINCT rerun_of) FROM runs WHERE rerun_of IS NOT NULL")
    assert [tuple(row) for row in repeated] == [(number, number)]
    assert fleet.count("rerun_of IS NOT NULL AND status = 'completed'") == number
