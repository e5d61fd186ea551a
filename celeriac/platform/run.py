"""The run as a fact: one execution of one function for one tenant, with the moves that it may make."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from celeriac.platform.message import Usage

Status = Literal["queued", "running", "parked", "completed", "failed", "cancelled", "skipped"]

#: where a run may go from where it stands; every move in the store is a compare-and-set on this table
MOVES: dict[Status | None, frozenset[Status]] = {
    None: frozenset({"queued", "parked", "skipped"}),
    "queued": frozenset({"running", "cancelled", "failed"}),
    "running": frozenset({"queued", "parked", "completed", "failed", "cancelled"}),
    "parked": frozenset({"queued"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "skipped": frozenset(),
}

FINAL: frozenset[Status] = frozenset(status for status, onward in MOVES.items() if status and not onward)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it stood when it was read."""

    id: str
    tenant_id: str
    app: str
    function_id: str
    event_id: str | None = None
    status: Status = "queued"
    #: why it ended as it did, or stands: `router`, `max_iter`, `cancelled`, a skip's reason, …
    reason: str | None = None
    output: Any = None
    #: `{"code", "message"}` of a failed run
    error: dict[str, str] | None = None
    usage: Usage = field(default_factory=Usage)
    #: links executed so far
    links: int = 0
    #: of the app, as it was declared when the run began
    version: str = ""
    #: the run that it does again, and the one that invoked it
    rerun_of: str | None = None
    parent_id: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    #: of a run that was skipped by a rate limit: when the next one may begin
    retry_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether no move is left."""
        return self.status in FINAL
