"""Whatever stands on the queue, and whatever Redis becomes for a while, workers stay and go on consuming."""

from __future__ import annotations

import json

from fleet.worker_fleet import Fleet
from waiting import wait_until

#: the list in which the broker keeps the queue of runs
QUEUE = "cel:broker:runs"

UNREADABLE = ["", "no json", "null", "[]", "{}", '{"body": 1, "headers": null, "properties": {}}', "[" * 5_000]

#: a message in its envelope whose body is no base64
BROKEN_BODY = json.dumps(
    {
        "body": "%",
        "headers": {},
        "content-type": "application/json",
        "properties": {"delivery_tag": "tag", "delivery_info": {}, "body_encoding": "base64"},
    }
)


def test_a_worker_drops_what_is_no_message_and_goes_on(fleet: Fleet, tenant: str) -> None:
    """One line on the queue once ended every worker that met it, and with the exit code of success."""
    pids = [worker.pid for worker in fleet.workers]
    for text in [*UNREADABLE, BROKEN_BODY] * 2:
        fleet.redis.lpush(QUEUE, text)
    event = fleet.send(tenant, "fleet/counted", n=1, steps=1)
    assert fleet.ended(tenant, event).output == 1
    wait_until(lambda: fleet.redis.llen(QUEUE) == 0, what="everything to be taken")
    assert [worker.pid for worker in fleet.workers if worker.is_running] == pids


def test_workers_outlive_a_redis_that_takes_no_writes(fleet: Fleet, tenant: str) -> None:
    """A failover makes it a replica for a moment; consumers are thrown out then, and come back."""
    pids = [worker.pid for worker in fleet.workers]
    fleet.redis.slaveof("127.0.0.1", 1)
    wait_until(
        lambda: all("Connection to broker lost" in worker.log for worker in fleet.workers), what="both to be thrown out"
    )
    fleet.redis.slaveof()
    event = fleet.send(tenant, "fleet/counted", n=2, steps=1)
    assert fleet.ended(tenant, event).output == 2
    assert [worker.pid for worker in fleet.workers if worker.is_running] == pids
