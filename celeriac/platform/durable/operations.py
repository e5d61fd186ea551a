"""Operations: what operators do to runs that the runs' own code does not ask for.

`store/sql_operations.py` does it in SQLite or Postgres; `operator.py` is the door that the web, the CLI and apps come
by. Every method is one transaction and names its tenant: what is another tenant's is not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from celeriac.platform.durable.bulk import Advance, BulkAction, BulkKind, Count, Place
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.flow.gate import Queued


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a batch of a sweep deleted, and the place at which the next one begins; None: there is no next one."""

    deleted: int = 0
    after: str | None = None


class Operations(Protocol):
    """Reruns, bulk actions and retention."""

    def rerun(self, tenant_id: str, run_id: str, wish: Wish) -> Queued:
        """Do an ended run again as a new run of the same event, and return that.

        Raises `NotFoundError` for an unknown run or step, and `ConflictError` for a run that has not ended, whose
        event is not kept any more, or whose function is declared no more or paused.
        """
        ...

    # -- bulk actions -------------------------------------------------------------------------------------------

    def count(self, tenant_id: str, kind: BulkKind, where: RunFilter) -> Count:
        """Say how many runs the action would change."""
        ...

    def begin(self, tenant_id: str, kind: BulkKind, where: RunFilter, *, action_id: str | None = None) -> BulkAction:
        """Begin an action on the runs that are there now; runs that come later are left alone.

        `action_id` is the id of the new action, of those who must not make two.

        Raises `ConflictError` where as many of the tenant's go on already as may.
        """
        ...

    def action(self, tenant_id: str, action_id: str) -> BulkAction:
        """Return one action; raise `NotFoundError`."""
        ...

    def actions(self, tenant_id: str, *, limit: int = 20, before: Place | None = None) -> list[BulkAction]:
        """Return actions, newest first, from the first one behind the place `before` on, whether it is there or not."""
        ...

    def abort(self, tenant_id: str, action_id: str) -> BulkAction:
        """Let no page follow; what is done stays done. One that is over stays as it is."""
        ...

    def running(self) -> list[str]:
        """Return the ids of the actions of all tenants that are not over."""
        ...

    def advance(self, action_id: str) -> Advance:
        """Do the next page of an action; nothing where another worker is at it, or it is over."""
        ...

    # -- retention ----------------------------------------------------------------------------------------------

    def delete_runs(self, tenant_id: str, before: datetime, *, after: str | None = None, most: int = 200) -> Sweep:
        """Delete runs that ended before that time, oldest first, with all that hangs on them."""
        ...

    def delete_events(self, tenant_id: str, before: datetime, *, after: str | None = None, most: int = 200) -> Sweep:
        """Delete events that came before that time and that no run refers to any more.

        One by whose id a second one is known stays for its 24 hours, and one that is not matched yet stays.
        """
        ...

    def delete_actions(self, tenant_id: str, before: datetime) -> int:
        """Delete bulk actions that ended before that time."""
        ...

    def delete_free_keys(self, *, most: int = 500) -> int:
        """Delete keys of runs of all tenants that have been free for a day, the oldest first; 0 where none is left."""
        ...

    def count_ended(self, tenant_id: str, before: datetime) -> int:
        """Say how many runs ended before that time."""
        ...
