"""The messages of a run's chain, as they stand in the broker: whose children they are, and when there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery
from celery.app.trace import build_tracer

from celeriac.platform.durable.dispatch import ADVANCE
from celeriac.platform.durable.store import Link
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.celery_links import CeleryLinks, celery_app
from celeriac.settings import Settings
from celeriac.tasks.links import advance
from celeriac.tasks.process import set_current_process


@dataclass
class Broker:
    """A Redis in which messages arrive, and a Celery app that sends there."""

    url: str

    def __post_init__(self) -> None:
        self.settings = Settings(broker_url=self.url)  # type: ignore[call-arg,unused-ignore]
        self.app: Celery = celery_app(self.settings)
        self.task = self.app.task(name=ADVANCE, bind=True)(advance.run.__func__)

    def execute(self, run_id: str, root: str) -> str:
        """Execute a link as a worker does when its message has come; return its id."""
        id = str(uuid4())
        request = {"id": id, "root_id": root, "delivery_info": {"routing_key": "runs"}, "is_eager": False}
        build_tracer(ADVANCE, self.task, app=self.app)(id, [run_id], {}, request)
        return id

    def messages(self) -> list[dict[str, Any]]:
        """Return the headers of what waits on the queue `runs`."""
        with redis.Redis.from_url(self.url) as client:
            return [json.loads(one)["headers"] for one in client.lrange("cel:broker:runs", 0, -1)]


class Process:
    """What a worker's process says of each link: that the run goes on, or nothing but an error."""

    def __init__(self, answer: bool | Exception) -> None:
        self._answer = answer

    def advance(self, run_id: str, link: Link) -> bool:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    """An empty broker; what this process takes for its worker's process is put back afterwards."""
    broker = Broker(redis_url)
    yield broker
    set_current_process(None)
    broker.app.close()


def test_the_gate_and_a_wake_publish_on_the_runs_own_chain(broker: Broker) -> None:
    """A first link is the root; any other is the child of the run's last link, whoever publishes it."""
    first = Queued(run_id="run_a", tenant_id="t", queue="runs", fence=1)
    later = Queued(run_id="run_b", tenant_id="t", queue="runs", fence=4, root_id="one", parent_id="three")
    CeleryLinks(broker.settings).publish([first, later])
    sent = {json.loads(one["argsrepr"].replace("'", '"'))[0]: one for one in broker.messages()}
    assert (sent["run_a"]["root_id"], sent["run_a"]["parent_id"]) == (sent["run_a"]["id"], None)
    assert (sent["run_b"]["root_id"], sent["run_b"]["parent_id"]) == ("one", "three")


def test_a_link_that_goes_on_sends_its_child(broker: Broker) -> None:
    """Celery sends it, after the body, as part of the same chain."""
    set_current_process(Process(True))  # type: ignore[arg-type]
    id = broker.execute("run_a", root="first")
    [sent] = broker.messages()
    assert (sent["task"], sent["root_id"], sent["parent_id"]) == (ADVANCE, "first", id)


@pytest.mark.parametrize("answer", [False, RuntimeError("the engine broke")], ids=["over", "broken"])
def test_a_link_that_is_over_or_broken_sends_nothing(broker: Broker, answer: bool | Exception) -> None:
    """Whoever finds the run again sends its next link; a second one from here would be in its way."""
    set_current_process(Process(answer))  # type: ignore[arg-type]
    broker.execute("run_a", root="first")
    assert broker.messages() == []
