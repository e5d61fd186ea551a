"""Celery's own command starts a worker that is as good as `celeriac worker`."""

from __future__ import annotations

import sys
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


def celery_worker(fleet: Fleet) -> WorkerHandle:
    """Start a worker by Celery's command, with no option of ours, and wait until it has joined."""
    worker = fleet.run_command([sys.executable, "-m", "celery", "-A", "celeriac.tasks.celery", "worker"])
    joined = lambda: worker.pid in {row.pid for row in fleet.sql("SELECT pid FROM workers")}  # noqa: E731
    wait_until(lambda: joined() or not worker.is_running, 20, "the worker to join")
    assert worker.is_running, worker.log
    return worker


def test_celerys_own_command_runs_turns_waits_and_drains(fleet: Fleet) -> None:
    """The chain, the wait and the way out."""
    worker, tenant = celery_worker(fleet), fleet.tenant()
    event = fleet.send(tenant, "fleet/talked", turns=2, n=1)
    fleet.wait_for_status(tenant, event, "parked")
    fleet.send(tenant, "fleet/answered", n=1, plus=5)
    assert fleet.ended(tenant, event).output == {"turns": 4, "plus": 5, "text": "hello again"}
    long = fleet.send(tenant, "fleet/counted", n=1, steps=1_000)
    wait_until(lambda: fleet.notes.of("began", path="s1"), what="the long run to begin")
    assert worker.stop() == 0, worker.log
    assert fleet.run_of(tenant, long).status == "queued"
    assert fleet.sql("SELECT id FROM workers") == []


def test_it_takes_many_links_at_once(fleet: Fleet) -> None:
    """Not one a processor."""
    celery_worker(fleet)
    tenant = fleet.tenant()
    fleet.send_all(tenant, "fleet/counted", [{"n": n, "steps": 1, "seconds": 0.5} for n in range(16)])
    fleet.wait_for_all()
    began, ended = (sorted(one["time"] for one in fleet.notes.of(kind)) for kind in ("began", "ended"))
    assert len(began) == 16
    assert began[-1] < ended[0], "some waited for others"
