"""A run that waits for the approval of a tool call, told to a store as its engine would; there is no worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from celeriac.ids import derived_id
from celeriac.platform.approval import LONGEST_APPROVAL, ApprovalRequest, approval_signal
from celeriac.platform.durable.memo import StepDone, Wait
from celeriac.platform.durable.store import Claim, Link, Store
from celeriac.platform.event import signal_name

PATH = "agent:clerk/turn:1/tool:1:refund"


def park_at_approval(store: Store, run_id: str, *, lasts: timedelta = LONGEST_APPROVAL) -> ApprovalRequest:
    """Claim a run, let it ask for the approval of a refund, and park it."""
    claim = store.claim(run_id, "wrk_till", Link(id="link-1", root_id="link-1"))
    assert claim is not None
    return ask_for_approval(store, claim, PATH, {"cents": 500}, lasts=lasts)


def ask_for_approval(
    store: Store,
    claim: Claim,
    path: str,
    given: dict[str, Any],
    *,
    agent: str = "Clerk",
    lasts: timedelta = LONGEST_APPROVAL,
) -> ApprovalRequest:
    """Remember a request for the approval of the call at this path, and wait for the decision."""
    run, now = claim.run, datetime.now(UTC)
    until = now + lasts
    request = ApprovalRequest(
        id=derived_id("apr", run.id, path),
        call_id="call_1",
        tool=path.rpartition(":")[2],
        input=given,
        expires_at=until.isoformat(),
        agent=agent,
    )
    right = {"run_id": run.id, "tenant_id": run.tenant_id, "fence": claim.fence, "path": f"{path}/request"}
    value = json.dumps(request.export())
    assert store.commit([StepDone(**right, kind="run", value=value, started_at=now, ended_at=now)]) != [None]
    name = signal_name(approval_signal(request.id))
    assert store.await_event(claim, Wait(path=f"{path}/approval", kind="signal", event_name=name, wake_at=until))
    fresh = store.refresh(claim)
    assert fresh is not None and store.park(fresh)
    return request
