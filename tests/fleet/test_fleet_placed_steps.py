"""Placed steps with real processes: a prefork worker performs them, and one that dies costs nothing but time."""

from __future__ import annotations

import os
import signal

from fleet.worker_fleet import Fleet
from waiting import wait_until


def test_a_process_of_its_own_performs_the_step(fleet: Fleet, tenant: str) -> None:
    worker = fleet.start(queues="cpu", concurrency=2)
    event = fleet.send(tenant, "fleet/placed", n=4)
    run = fleet.ended(tenant, event)
    [crunched] = fleet.notes.of("began", run=run.id, path="crunch")
    [before] = fleet.notes.of("began", run=run.id, path="before")
    assert run.output == 8
    assert crunched["pid"] not in (before["pid"], worker.pid), "a child of the cpu worker did it"


def test_steps_of_another_queue_keep_to_the_limits_of_their_function(fleet: Fleet, tenant: str) -> None:
    """One at a time, though two processes are there."""
    fleet.start(queues="cpu", concurrency=2)
    fleet.send_all(tenant, "fleet/placed-alone", [{"seconds": 0.1} for _ in range(5)])
    wait_until(lambda: fleet.count("tenant_id = :t AND status = 'completed'", t=tenant) == 5, what="the runs to end")
    mine = {row.id for row in fleet.sql("SELECT id FROM runs WHERE tenant_id = :t", t=tenant)}
    began = sorted(one["time"] for one in fleet.notes.of("began", path="alone") if one["run"] in mine)
    ended = sorted(one["time"] for one in fleet.notes.of("ended", path="alone") if one["run"] in mine)
    assert len(began) == len(ended) == 5
    assert all(before <= after for before, after in zip(ended, began[1:], strict=False)), "two went on at once"


def test_a_process_of_another_queue_asks_no_agent_by_accident(fleet: Fleet, tenant: str) -> None:
    fleet.start(queues="cpu", concurrency=1)
    run = fleet.ended(tenant, fleet.send(tenant, "fleet/asked-elsewhere"))
    assert run.error is None, run.error
    assert "'Elsewhere' was run in a worker outside of its run" in run.output and "not_durable()" in run.output


def test_a_process_that_is_killed_is_replaced_and_the_run_notices_nothing(fleet: Fleet, tenant: str) -> None:
    fleet.start(queues="cpu", concurrency=1)
    event = fleet.send(tenant, "fleet/placed", n=1, seconds=1.0)
    run = fleet.run_of(tenant, event)
    [began] = wait_until(lambda: fleet.notes.of("began", run=run.id, path="crunch"), what="the step to begin")
    os.kill(began["pid"], signal.SIGKILL)
    run = fleet.ended(tenant, event, timeout=30)
    assert run.output == 2
    assert len(fleet.notes.of("began", run=run.id, path="crunch")) == 2
    assert len(fleet.notes.of("began", run=run.id, path="before")) == 1


def test_a_cpu_worker_that_is_killed_hands_its_steps_over(fleet: Fleet, tenant: str) -> None:
    victim = fleet.start(queues="cpu", concurrency=1)
    event = fleet.send(tenant, "fleet/placed", n=1, seconds=1.0)
    run = fleet.run_of(tenant, event)
    wait_until(lambda: fleet.notes.of("began", run=run.id, path="crunch"), what="the step to begin")
    victim.kill()
    fleet.start(queues="cpu", concurrency=1)
    assert fleet.ended(tenant, event, timeout=30).output == 2


def test_a_step_that_no_process_survives_fails_as_poison(fleet: Fleet, tenant: str) -> None:
    fleet.start(queues="cpu", concurrency=1)
    event = fleet.send(tenant, "fleet/deadly")
    run = fleet.ended(tenant, event, timeout=60)
    assert run.output == "poison"
    assert len(fleet.notes.of("began", run=run.id, path="deadly")) == 3
