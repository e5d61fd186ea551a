"""Workers leave in order, die, or fall silent; their runs go on elsewhere, and nobody commits for another."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.worker_fleet import Fleet, WorkerHandle
from waiting import wait_until


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet without workers."""
    with Fleet(tmp_path) as fleet:
        yield fleet


@pytest.fixture
def tenant(fleet: Fleet) -> str:
    """A tenant."""
    return fleet.tenant()


def start_runs(fleet: Fleet, tenant_id: str, number: int, **data: float) -> list[str]:
    """Send events and wait until a step of each of their runs has begun."""
    events = fleet.send_all(tenant_id, "fleet/counted", [{"n": n, **data} for n in range(number)])
    wait_until(lambda: len({one["run"] for one in fleet.notes.of("began")}) == number, what="all runs to begin")
    return events


def workers_in_sql(fleet: Fleet) -> dict[int, str]:
    """Return the ids of the workers by pid."""
    return {row.pid: row.id for row in fleet.sql("SELECT id, pid FROM workers")}


def test_a_worker_that_is_told_to_stop_puts_its_runs_back(fleet: Fleet, tenant: str) -> None:
    """Links end at their next step, the worker leaves at once, and another one finishes them all."""
    first = fleet.start()
    events = start_runs(fleet, tenant, 8, steps=100, seconds=0.02)
    told = time.monotonic()
    assert first.stop() == 0, first.log
    assert time.monotonic() - told < 3
    assert fleet.count("status = 'queued'") == 8
    assert fleet.redis.llen("cel:broker:runs") + fleet.rooms.gate.waiting("runs") == 8, "a message was lost"
    assert workers_in_sql(fleet) == {}
    fleet.start()
    assert [fleet.ended(tenant, event).output for event in events] == [100 * n + 4950 for n in range(8)]
    assert len(fleet.notes.of("began")) == 800, "a step ran twice"
    assert fleet.held_keys() == []


def test_a_worker_that_stops_beside_another_hands_its_runs_over_at_once(fleet: Fleet, tenant: str) -> None:
    """Nobody waits for a reconcile."""
    first, second = fleet.start_two()
    start_runs(fleet, tenant, 8, steps=150, seconds=0.02)
    assert first.stop() == 0, first.log
    left = time.time()
    wait_until(
        lambda: len({one["run"] for one in fleet.notes.of("began", pid=second.pid) if one["time"] > left}) == 8,
        2,
        "all runs to go on",
    )
    fleet.wait_for_all()
    assert len(fleet.notes.of("began")) == 8 * 150, "a step ran twice"


def test_a_killed_neighbour_is_replaced_within_two_seconds(fleet: Fleet, tenant: str) -> None:
    """On the same host a dead process is seen at once, without waiting for its silence."""
    first, second = fleet.start_two()
    events = start_runs(fleet, tenant, 8, steps=150, seconds=0.02)
    runs = {one["run"] for one in fleet.notes.of("began", pid=first.pid)}
    assert runs, "the first worker had nothing to do"
    first.kill()
    killed = time.time()
    fleet.wait_for_all()
    taken_over = [one for one in fleet.notes.of("task", pid=second.pid) if one["run"] in runs and one["time"] > killed]
    assert {one["run"] for one in taken_over} == runs
    assert max(one["time"] for one in taken_over) - killed <= 2
    assert [fleet.ended(tenant, event).output for event in events] == [150 * n + 11175 for n in range(8)]


def silence_the_holder(fleet: Fleet, tenant_id: str) -> tuple[str, WorkerHandle, WorkerHandle]:
    """Start a run and stop the worker in the middle of its step; return the event, that worker and the other."""
    workers = fleet.start_two()
    event = fleet.send(tenant_id, "fleet/whose", seconds=1)
    began = wait_until(lambda: fleet.notes.of("began"), what="the step to begin")[0]
    [silent] = [worker for worker in workers if worker.pid == began["pid"]]
    [other] = [worker for worker in workers if worker is not silent]
    silent.signal(signal.SIGSTOP)
    return event, silent, other


def test_a_silent_worker_is_replaced_and_its_late_commit_refused(fleet: Fleet, tenant: str) -> None:
    """It is judged after the dead time by one that was healthy all the time, and joins again under a new id."""
    event, silent, other = silence_the_holder(fleet, tenant)
    silenced = time.monotonic()
    old_id = workers_in_sql(fleet)[silent.pid]
    run = fleet.ended(tenant, event)
    assert run.output == other.pid
    assert time.monotonic() - silenced >= 3
    silent.signal(signal.SIGCONT)
    wait_until(lambda: fleet.notes.of("ended", pid=silent.pid), what="the late step to end")
    joined = wait_until(lambda: workers_in_sql(fleet).get(silent.pid), what="the worker to join again")
    assert joined != old_id
    assert silent.stop() == 0, "it has committed what it had to commit"
    [step] = fleet.sql("SELECT value FROM steps")
    assert (int(step.value), fleet.ended(tenant, event).output) == (other.pid, other.pid)


def test_a_worker_that_was_silent_takes_runs_again(fleet: Fleet, tenant: str) -> None:
    """Under its new id it is a worker like any other."""
    event, silent, other = silence_the_holder(fleet, tenant)
    fleet.ended(tenant, event)
    silent.signal(signal.SIGCONT)
    wait_until(lambda: silent.pid in workers_in_sql(fleet), what="the worker to join again")
    other.stop()
    again = fleet.send(tenant, "fleet/whose", seconds=0)
    assert fleet.ended(tenant, again).output == silent.pid
    assert fleet.held_keys() == []


def test_a_worker_that_was_silent_and_that_nobody_judged_goes_on(fleet: Fleet, tenant: str) -> None:
    """Alone as it is: its row stands, and so does its run; the body is done once."""
    worker = fleet.start()
    before = workers_in_sql(fleet)
    event = fleet.send(tenant, "fleet/whose", seconds=1)
    wait_until(lambda: fleet.notes.of("began"), what="the step to begin")
    worker.signal(signal.SIGSTOP)
    silenced = time.monotonic()
    wait_until(lambda: time.monotonic() - silenced > 3.5, what="the dead time to pass")
    worker.signal(signal.SIGCONT)
    assert fleet.ended(tenant, event).output == worker.pid
    assert workers_in_sql(fleet) == before
    assert (len(fleet.notes.of("began")), fleet.count("fence > 1")) == (1, 0)
