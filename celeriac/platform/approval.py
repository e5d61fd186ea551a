"""The approval: what a person is asked before a tool runs, and how the answer travels.

A call that needs one makes a request that is remembered, and waits for the signal of that request. Written by the
agents, read by whoever shows or decides what is open; known here to both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self

#: how long a call waits for a person; then it is denied
LONGEST_APPROVAL = timedelta(days=30)

#: the steps inside a tool call: the request that is remembered, and the wait for the answer
REQUEST_STEP = "request"
APPROVAL_STEP = "approval"

#: what somebody is told who would decide by a plain signal, past the audit log and the check of the decision
NO_PLAIN_SIGNAL = "This signal decides on a tool call; use app.approve, or `celeriac runs approve`"

_SIGNAL = "approval:apr_"


def approval_signal(request_id: str) -> str:
    """Return the signal by which the request is decided."""
    return f"approval:{request_id}"


def is_approval(signal: str) -> bool:
    """Whether a signal decides on a tool call."""
    return signal.startswith(_SIGNAL)


#: the most characters of a reason: it is for the model, people and the audit log, and no document
LONGEST_REASON = 1_000


@dataclass(frozen=True, kw_only=True)
class ApprovalRequest:
    """What a person has to decide on: one call of one tool."""

    id: str
    #: the call as the provider names it; unique in a reply, not in a run
    call_id: str
    tool: str
    #: what the model gave
    input: dict[str, Any]
    #: ISO 8601; when the call counts as denied
    expires_at: str
    #: the call as streams name it, for those who decide by what they watch
    part_id: str = ""
    #: whose turn it is
    agent: str = ""

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "id": self.id,
            "call_id": self.call_id,
            "tool": self.tool,
            "input": self.input,
            "expires_at": self.expires_at,
            "part_id": self.part_id,
            "agent": self.agent,
        }

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """Read back what `export` wrote; what a newer version has written besides is passed over."""
        return cls(**{field.name: data[field.name] for field in fields(cls) if field.name in data})


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What somebody decided, and who that was where they say."""

    approved: bool
    reason: str | None = None
    by: str | None = None
    #: ISO 8601; None for what nobody decided
    at: str | None = None

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"approved": self.approved, "reason": self.reason, "by": self.by, "at": self.at}

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Read what came with the signal; None, and whatever does not say that it approves, denies."""
        if data is None:
            return cls(approved=False, reason=f"Nobody decided within {LONGEST_APPROVAL.days} days")
        if not isinstance(data, dict):
            return cls(approved=False)
        words = {name: None if data.get(name) is None else str(data[name]) for name in ("reason", "by", "at")}
        return cls(approved=data.get("approved") is True, **words)
