"""A run is one chain of Celery tasks from its first link to its last, by what Celery's own signals say."""

from __future__ import annotations

from fleet.worker_fleet import Fleet, Note
from waiting import wait_until

TURNS = 3


def tasks_of(fleet: Fleet, run_id: str) -> list[Note]:
    """Return the tasks of a run's chain in order, from the signal before each."""
    return fleet.notes.of("task", run=run_id)


def assert_one_chain(tasks: list[Note], *, at_least: int) -> None:
    """Fail unless the tasks have one root and each is the child of the one before."""
    assert len(tasks) >= at_least
    assert {task["root"] for task in tasks} == {tasks[0]["id"]}
    assert [task["parent"] for task in tasks] == [None, *(task["id"] for task in tasks[:-1])]


def test_turns_and_a_wait_are_one_chain(fleet: Fleet, tenant: str) -> None:
    """At least one link a turn, and the link after the wait goes on where the chain stood."""
    event = fleet.send(tenant, "fleet/talked", turns=TURNS, n=1)
    parked = fleet.wait_for_status(tenant, event, "parked")
    before = len(tasks_of(fleet, parked.id))
    fleet.send(tenant, "fleet/answered", n=1, plus=5)
    run = fleet.ended(tenant, event)
    assert run.output == {"turns": 2 * TURNS, "plus": 5, "text": "hello again"}
    assert before >= TURNS
    assert_one_chain(tasks_of(fleet, run.id), at_least=2 * TURNS)


def test_messages_name_the_same_chain_before_they_are_sent(fleet: Fleet, tenant: str) -> None:
    """What is published, by a sender, by a link or by the gate, is what is executed; the first message starts it."""
    event = fleet.send(tenant, "fleet/talked", turns=2, n=2)
    fleet.wait_for_status(tenant, event, "parked")
    fleet.send(tenant, "fleet/answered", n=2, plus=0)
    run = fleet.ended(tenant, event)
    tasks = {(one["id"], one["root"], one["parent"]) for one in tasks_of(fleet, run.id)}
    sent = {(one["id"], one["root"], one["parent"]) for one in fleet.notes.of("sent", run=run.id)}
    assert sent and sent <= tasks


def test_a_crash_does_not_break_the_chain(fleet: Fleet, tenant: str) -> None:
    """The link that another worker takes over is the child of the one that died."""
    event = fleet.send(tenant, "fleet/talked", turns=TURNS, n=3)
    [run] = wait_until(lambda: fleet.rooms.reads.event_runs(tenant, event), what="the run")
    began = wait_until(lambda: fleet.notes.of("began", run=run.id)[1:], what="the second turn to begin")[0]
    [victim] = [worker for worker in fleet.workers if worker.pid == began["pid"]]
    victim.kill()
    fleet.launch()
    fleet.wait_for_status(tenant, event, "parked")
    fleet.send(tenant, "fleet/answered", n=3, plus=0)
    run = fleet.ended(tenant, event)
    tasks = tasks_of(fleet, run.id)
    assert len({task["pid"] for task in tasks}) >= 2
    assert_one_chain(tasks, at_least=2 * TURNS + 1)
