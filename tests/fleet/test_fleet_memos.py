"""What a link remembers of the links before it comes from Redis, and from SQL where Redis has lost it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from celeriac.platform.run import Run
from fleet.worker_fleet import Fleet


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet of one worker."""
    with Fleet(tmp_path_factory.mktemp("lone")) as fleet:
        fleet.start()
        yield fleet


def talked(fleet: Fleet, tenant_id: str, *, flush: bool) -> Run:
    """Run to the end over a wait, in which Redis may lose everything."""
    event = fleet.send(tenant_id, "fleet/talked", turns=2, n=1)
    fleet.wait_for_status(tenant_id, event, "parked")
    if flush:
        fleet.redis.flushall()
    fleet.send(tenant_id, "fleet/answered", n=1, plus=5)
    return fleet.ended(tenant_id, event)


def reads_of(fleet: Fleet, run_id: str) -> int:
    """Count the statements by which workers read the steps of a run."""
    return sum(run_id in one["values"] for one in fleet.notes.of("read"))


def test_memos_come_from_redis(lone: Fleet) -> None:
    """Over five links and more, the steps table is not read once."""
    run = talked(lone, lone.tenant(), flush=False)
    assert run.links >= 5
    assert reads_of(lone, run.id) == 0


def test_memos_come_from_sql_when_redis_has_lost_them(lone: Fleet) -> None:
    """Between two links everything in Redis goes; the result is the same, and nothing runs twice."""
    first = talked(lone, lone.tenant(), flush=False)
    second = talked(lone, lone.tenant(), flush=True)
    assert (second.output, second.status) == (first.output, "completed")
    assert reads_of(lone, second.id) == 1
    began = [one["path"] for one in lone.notes.of("began", run=second.id)]
    assert len(began) == len(set(began)) == 4


def test_a_worker_that_leaves_says_how_often_the_cache_had_it(lone: Fleet) -> None:
    """Nearly always."""
    talked(lone, lone.tenant(), flush=False)
    [worker] = lone.workers
    worker.stop()
    said = re.search(r"step cache: (\d+) hits, (\d+) misses", worker.log)
    assert said, worker.log
    hits, misses = map(int, said.groups())
    assert hits >= 4
    assert misses <= 1
