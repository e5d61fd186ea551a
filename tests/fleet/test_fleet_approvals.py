"""Approvals on real workers: a call waits over the death of its worker, is decided from outside, and is made once."""

from __future__ import annotations

import pytest

from celeriac.platform.approval import Decision
from celeriac.platform.run import Run
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.reading import read_chunks
from celeriac.web.app import create_app
from fleet.worker_fleet import Fleet
from waiting import wait_until


@pytest.mark.parametrize(("approved", "says", "paid"), [(True, "paid 5", 1), (False, "Too much", 0)])
def test_a_decision_outlives_the_worker_that_asked_for_it(
    each_fleet: Fleet, approved: bool, says: str, paid: int
) -> None:
    fleet, tenant = each_fleet, each_fleet.tenant()
    event = fleet.send(tenant, "fleet/refunded", input="Refund?")
    run = fleet.wait_for_status(tenant, event, "parked")
    words = fleet.rooms.reads.view(tenant, run.id).waiting_for or ""
    assert words.startswith("waits for a person to approve 'refund'")
    for worker in fleet.workers:
        worker.kill()
    decision = Decision(approved=approved, reason="Too much", by="Ada")
    assert fleet.rooms.operator.approve(tenant, run.id, "call_1", decision)
    assert not fleet.rooms.operator.approve(tenant, run.id, "call_1", decision)
    fleet.start()
    assert says in fleet.ended(tenant, event).output["text"]
    assert len(fleet.notes.of("began", run=run.id, path="pay")) == paid


def test_what_waits_is_listed_and_decided_over_http(each_fleet: Fleet) -> None:
    fleet, tenant = each_fleet, each_fleet.tenant()
    asking = create_app(fleet.rooms).test_client()
    key_id, key = fleet.rooms.keys.create(tenant, "api")
    bearer = {"Authorization": f"Bearer {key}"}
    event = fleet.send(tenant, "fleet/refunded", input="Refund?")
    run = fleet.wait_for_status(tenant, event, "parked")
    [one] = asking.get("/v1/approvals", headers=bearer).get_json()["data"]
    assert (one["run_id"], one["agent"], one["tool"], one["input"]) == (run.id, "Clerk", "refund", {"cents": 5})
    path = f"/v1/runs/{run.id}/approvals/{one['part_id']}"
    assert asking.post(path, json={"approved": True}, headers=bearer).status_code == 200
    ended = fleet.ended(tenant, event)
    assert "paid 5" in ended.output["text"]
    assert asking.post(path, json={"approved": False}, headers=bearer).get_json()["code"] == "approval_decided"
    told = wait_until(lambda: resolved(fleet, ended), what="the decision in the stream")
    assert told[0].data["resolvedBy"] == f"key:{key_id}"


def resolved(fleet: Fleet, run: Run) -> list[Chunk]:
    """Return what the run told of decisions."""
    return [chunk for chunk in read_chunks(fleet.rooms.stream, run) if chunk.event == "hitl.resolved"]
