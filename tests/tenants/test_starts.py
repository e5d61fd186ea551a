"""Plain code that asks for runs: it starts one, waits for it, and gives signals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from approval_stage import PATH, park_at_approval
from celeriac import App, Context, RateLimit
from celeriac.errors import InvalidEventError, NotFoundError, RefusedError
from celeriac.platform.approval import approval_signal
from celeriac.platform.durable.ending import ending_event
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Claim, Ending, Link
from celeriac.platform.event import signal_name
from celeriac.wiring import Installation
from waiting import wait_until

app = App("desk")


@app.function(on="never", idempotency="event.data.n")
async def work(ctx: Context, n: int = 0) -> int:
    """Return what it was given."""
    return n


@app.function(on="never", rate_limit=RateLimit(1, per="1h"))
async def rare(ctx: Context) -> None:
    """Do nothing."""


@pytest.fixture
def tenant(deployment: Installation) -> str:
    """A tenant for whom the app is declared."""
    deployment.store.declare(app.name, app.declarations(), app.schemas())
    return deployment.tenants.create("Acme").id


def claimed(deployment: Installation, run_id: str) -> Claim:
    """Claim a run as a worker would."""
    claim = deployment.store.claim(run_id, "wrk_one", Link(id="l", root_id="l"))
    assert claim is not None
    return claim


def test_a_function_is_started_by_itself(deployment: Installation, tenant: str) -> None:
    run = app.start(work, {"n": 7}, tenant=tenant)
    assert (run.status, run.function_id, run.tenant_id) == ("queued", "work", tenant)
    assert deployment.gate.known([run.id]) == {run.id}
    assert claimed(deployment, run.id).event.data == {"n": 7}


def test_a_function_that_does_not_start_says_why(deployment: Installation, tenant: str) -> None:
    app.start(work, {"n": 1}, tenant=tenant)
    with pytest.raises(RefusedError, match="idempotency") as refused:
        app.start(work, {"n": 1}, tenant=tenant)
    assert refused.value.code == "idempotency"
    deployment.store.pause(tenant, "desk", "work", is_paused=True)
    with pytest.raises(RefusedError, match="paused"):
        app.start(work, tenant=tenant)


def test_a_start_beyond_a_rate_limit_says_when_the_next_may_be(deployment: Installation, tenant: str) -> None:
    first = app.start(rare, tenant=tenant)
    with pytest.raises(RefusedError, match="rate_limited") as refused:
        app.start(rare, tenant=tenant)
    assert first.created_at is not None
    assert refused.value.retry_at == first.created_at + timedelta(hours=1)


def test_a_function_that_no_worker_has_declared_is_not_found(deployment: Installation, tenant: str) -> None:
    stranger = App("strange").function("work")(work.fn)
    with pytest.raises(NotFoundError, match="strange/work"):
        app.start(stranger, tenant=tenant)


def test_data_that_is_no_object_is_refused(deployment: Installation, tenant: str) -> None:
    with pytest.raises(InvalidEventError, match="must be an object"):
        app.start(work, [1], tenant=tenant)


def test_a_run_is_waited_for_until_it_has_ended(deployment: Installation, tenant: str) -> None:
    run = app.start(work, tenant=tenant)
    claim = claimed(deployment, run.id)
    ending = Ending(status="failed", error_code="x", error_message="no")
    deployment.store.finish(claim, ending, ending_event(replace(claim.run, status="failed")))
    assert app.wait(run.id, timeout="10s", tenant=tenant).status == "failed"


def test_a_run_that_does_not_end_is_returned_as_it_stands(deployment: Installation, tenant: str) -> None:
    run = app.start(work, tenant=tenant)
    assert app.wait(run.id, timeout=0.05, tenant=tenant).status == "queued"
    with pytest.raises(NotFoundError):
        app.wait("run_none", timeout=0.05, tenant=tenant)


def test_a_signal_wakes_the_run_that_waits_for_it(deployment: Installation, tenant: str) -> None:
    claim = claimed(deployment, app.start(work, tenant=tenant).id)
    assert app.signal("go", tenant=tenant) is False
    wait = Wait(path="w", kind="signal", event_name=signal_name("go"), wake_at=claim.event_received_at)
    assert deployment.store.await_event(claim, wait) is not None
    held = deployment.store.refresh(claim)
    assert held is not None
    assert deployment.store.park(held)
    assert app.signal("go", {"n": 1}, tenant=tenant) is True
    wait_until(lambda: app.get_run(claim.run.id, tenant=tenant).status == "queued", what="the run to be woken")


def test_a_tool_call_is_approved_once_by_its_own_tenant(deployment: Installation, tenant: str) -> None:
    run_id = app.start(work, tenant=tenant).id
    request = park_at_approval(deployment.store, run_id)
    other = deployment.tenants.create("Other").id
    with pytest.raises(NotFoundError):
        app.approve(run_id, request.id, tenant=other)
    assert app.approve(run_id, "another call", tenant=tenant) is False
    with pytest.raises(InvalidEventError, match=r"use app\.approve"):
        app.signal(approval_signal(request.id), {"approved": True}, tenant=tenant)
    assert app.approve(run_id, request.id, by="Ada", tenant=tenant) is True
    assert app.approve(run_id, PATH, approved=False, tenant=tenant) is False
    wait_until(lambda: app.get_run(run_id, tenant=tenant).status == "queued", what="the run to be woken")
