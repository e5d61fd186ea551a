"""Approvals on real workers: a call waits over the death of its worker, is decided from outside, and is made once."""

from __future__ import annotations

import pytest

from celeriac.platform.approval import Decision
from fleet.worker_fleet import Fleet


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
