"""Messages are hints: doubled ones do nothing, and a wake is never lost, whenever it comes."""

from __future__ import annotations

from celeriac import Event
from fleet.worker_fleet import Fleet
from waiting import wait_until

MANY = 50


def test_a_run_whose_message_comes_three_times_executes_once(each_fleet: Fleet) -> None:
    """Two processes get the same message at the same time; the claim lets one of them through."""
    fleet, tenant = each_fleet, each_fleet.tenant()
    events = [Event("fleet/counted", {"n": n, "steps": 1, "seconds": 0.1}) for n in range(10)]
    queued = fleet.rooms.store.ingest(tenant, events).queued
    fleet.rooms.links.publish([run for run in queued for _ in range(3)])
    ids = {run.run_id for run in queued}
    tasks = wait_until(
        lambda: len(found := [one for one in fleet.notes.of("task") if one["run"] in ids]) == 30 and found,
        what="all messages to be taken",
    )
    fleet.wait_for_all()
    assert len({task["pid"] for task in tasks}) == 2
    assert all(len(fleet.notes.of("began", run=run_id)) == 1 for run_id in ids)
    assert fleet.count("tenant_id = :t AND links = 1 AND status = 'completed'", t=tenant) == 10


def test_a_wake_in_the_instant_of_parking_is_not_lost(each_fleet: Fleet) -> None:
    """The answers come from 0 to 20 ms after the wait began: before, while and after the run parks."""
    fleet, tenant, links = each_fleet, each_fleet.tenant(), set[int]()
    data = [{"n": n, "delay": 0.02 * n / MANY} for n in range(MANY)]
    for _ in range(5):  # a machine that others use may be too slow for one of the sides
        events = fleet.send_all(tenant, "fleet/interrupted", data)
        runs = [fleet.ended(tenant, event, 15) for event in events]
        assert [run.output for run in runs] == [f"{n} was answered" for n in range(MANY)]
        links |= {run.links for run in runs}
        if len(links) > 1:
            return
    raise AssertionError("all were woken on the same side of their parking")


def test_an_event_that_is_sent_when_the_run_has_just_parked_wakes_it(each_fleet: Fleet) -> None:
    """One after the other, from another process, as soon as SQL shows the wait."""
    fleet, tenant = each_fleet, each_fleet.tenant()
    for n in range(100, 110):
        event = fleet.send(tenant, "fleet/asked", n=n)
        run_id = fleet.run_of(tenant, event).id
        wait_until(lambda id=run_id: fleet.sql("SELECT 1 FROM waits WHERE run_id = :r", r=id), what="the wait")
        fleet.send(tenant, "fleet/answered", n=n, plus=7)
        assert fleet.ended(tenant, event).output == n + 8


def test_a_cancelled_run_ends_on_its_worker(each_fleet: Fleet) -> None:
    """Within a heartbeat, in the middle of a step; no other step of it begins afterwards."""
    fleet, tenant = each_fleet, each_fleet.tenant()
    event = fleet.send(tenant, "fleet/counted", n=1, steps=3, seconds=1.5)
    run_id = fleet.run_of(tenant, event).id
    wait_until(lambda: fleet.notes.of("began", run=run_id), what="the first step to begin")
    fleet.rooms.store.cancel(tenant, run_id)
    run = fleet.ended(tenant, event, 1.4)
    assert (run.status, run.reason, run.output) == ("cancelled", "cancelled", None)
    wait_until(lambda: fleet.held_keys() == [], what="its slot to be free")
    assert len(fleet.notes.of("began", run=run_id)) == 1
    assert fleet.sql("SELECT path FROM steps WHERE run_id = :r", r=run_id) == []


def test_code_that_exits_ends_its_run_and_no_worker(each_fleet: Fleet) -> None:
    """The other runs of the process share its loop."""
    fleet, tenant = each_fleet, each_fleet.tenant()
    neighbours = fleet.send_all(tenant, "fleet/counted", [{"n": n, "steps": 20} for n in range(10)])
    places = {"step": "SystemExit", "body": "SystemExit", "panic": "Panic"}
    leaving = fleet.send_all(tenant, "fleet/left", [{"where": where} for where in places])
    for event, name in zip(leaving, places.values(), strict=True):
        run = fleet.ended(tenant, event)
        assert (run.status, name in str(run.error)) == ("failed", True)
    assert all(fleet.ended(tenant, event).status == "completed" for event in neighbours)
