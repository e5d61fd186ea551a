"""The bulk action: one wish about many runs, carried out page by page by whichever worker is there.

A value, and what is refused before it begins. Its place among the runs is kept with what it has done to them, so that
nothing is left out or done twice, however often its workers die.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from celeriac.errors import ConfigError
from celeriac.ids import derived_id
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import FINAL, MOVES, Status

BulkKind = Literal["cancel", "rerun"]
BulkStatus = Literal["running", "completed", "aborted"]

#: runs that are changed in one transaction
PAGE = 50

#: the place of an action among others: when it was made, and its id
Place: TypeAlias = tuple[datetime, str]


@dataclass(frozen=True, kw_only=True)
class BulkAction:
    """A bulk action as it stood when it was read."""

    id: str
    tenant_id: str
    kind: BulkKind
    where: RunFilter
    status: BulkStatus
    #: how many runs it has to look at, has looked at, and has changed; the first is what was there when it began
    total: int
    seen: int = 0
    changed: int = 0
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def place(self) -> Place:
        """Where it stands in a list, also when it is deleted."""
        return self.created_at, self.id

    @property
    def is_over(self) -> bool:
        """Whether no page follows."""
        return self.status != "running"


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many runs a bulk action would change if it began now; beyond a number of runs an estimate."""

    total: int
    is_exact: bool = True


@dataclass(frozen=True, kw_only=True)
class Advance:
    """What a page came to: runs that are queued by it, and those that it ended here and now."""

    queued: Sequence[Queued] = field(default_factory=list)
    ended: Sequence[str] = field(default_factory=list)
    #: how many executing ones it asked to end
    flagged: int = 0
    #: whether another page may follow
    goes_on: bool = False


def check_bulk(kind: BulkKind, where: RunFilter) -> None:
    """Raise `ConfigError` for an action that would take everything, or could change nothing."""
    if where.is_empty:
        raise ConfigError("A bulk action without a filter would take every run; name a status, a function or a time")
    if where.status is not None and where.status not in statuses_of(kind):
        fit = ", ".join(one for one in MOVES if one is not None and one in statuses_of(kind))
        raise ConfigError(f"There is nothing to {kind} in runs that are {where.status}; the status is one of {fit}")


def statuses_of(kind: BulkKind) -> frozenset[Status]:
    """Return the states of runs that the action changes."""
    if kind == "rerun":
        return FINAL
    return frozenset(status for status in MOVES if status is not None) - FINAL


def rerun_id(action_id: str, run_id: str) -> str:
    """Return the id of the run by which an action does another one again: once, however often it comes to it."""
    return derived_id("run", action_id, run_id)
