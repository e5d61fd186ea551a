"""Asked: a tool call that a person has to decide on, with what is known of it, as the reads return it.

Facts alone: `approvals.py` reads them off the view of a run, the store off its tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from celeriac.platform.approval import ApprovalRequest, Decision
from celeriac.platform.durable.memo import Wait


@dataclass(frozen=True, kw_only=True)
class AskedCall:
    """A call that a person was asked about, and where it stands in its run."""

    #: the path of the tool call
    path: str
    request: ApprovalRequest
    #: for the decision; begun when it was asked
    wait: Wait

    @property
    def is_open(self) -> bool:
        """Whether it still waits for a person."""
        return self.wait.resolved_at is None

    @property
    def asked_at(self) -> datetime | None:
        """When the run began to wait."""
        return self.wait.since

    @property
    def expires_at(self) -> datetime:
        """When it counts as denied."""
        return self.wait.wake_at

    @property
    def decision(self) -> Decision | None:
        """What a person decided; None where nobody has."""
        return None if self.wait.event is None else Decision.parse(json.loads(self.wait.event)["data"]["data"])

    @property
    def decision_id(self) -> str | None:
        """The id under which the decision was taken."""
        return None if self.wait.event is None else str(json.loads(self.wait.event)["id"])


@dataclass(frozen=True, kw_only=True)
class RunApproval:
    """Such a call with the run that asks."""

    run_id: str
    app: str
    function_id: str
    call: AskedCall

    @property
    def detail(self) -> dict[str, str | None]:
        """What the audit log keeps of a decision, beside who and when."""
        decision, request = self.call.decision, self.call.request
        return {"approval": request.id, "tool": request.tool, "reason": None if decision is None else decision.reason}


@dataclass(frozen=True, kw_only=True)
class ApprovalPage:
    """Calls of a tenant that wait for a person, newest first; `next_cursor` leads on where there are more."""

    approvals: Sequence[RunApproval]
    next_cursor: str | None = None
