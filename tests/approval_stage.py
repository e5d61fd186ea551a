"""A run that waits for the approval of a tool call, told to a store as its engine would; there is no worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from celeriac.ids import derived_id
from celeriac.platform.approval import ApprovalRequest, approval_signal
from celeriac.platform.durable.memo import StepDone, Wait
from celeriac.platform.durable.store import Link, Store
from celeriac.platform.event import signal_name

PATH = "agent:clerk/turn:1/tool:1:refund"


def park_at_approval(store: Store, run_id: str) -> ApprovalRequest:
    """Remember a request for approval, and wait for the decision."""
    claim = store.claim(run_id, "wrk_till", Link(id="link-1", root_id="link-1"))
    assert claim is not None
    now = datetime.now(UTC)
    until = now + timedelta(days=30)
    id = derived_id("apr", run_id, PATH)
    given = {"cents": 500}
    request = ApprovalRequest(id=id, call_id="call_1", tool="refund", input=given, expires_at=until.isoformat())
    right = {"run_id": run_id, "tenant_id": claim.run.tenant_id, "fence": claim.fence, "path": f"{PATH}/request"}
    value = json.dumps(request.export())
    store.commit([StepDone(**right, kind="run", value=value, started_at=now, ended_at=now)])
    name = signal_name(approval_signal(id))
    assert store.await_event(claim, Wait(path=f"{PATH}/approval", kind="signal", event_name=name, wake_at=until))
    fresh = store.refresh(claim)
    assert fresh is not None and store.park(fresh)
    return request
