"""The models of operations: reruns, bulk actions, functions and signals, as `/openapi.json` shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool

from celeriac.platform.durable.bulk import BulkKind, BulkStatus
from celeriac.platform.run import Status
from celeriac.web.api.models import FilterIn, Id, PageOut, Request, Storable


class RerunIn(Request):
    """How to do a run again: `{}` from its beginning."""

    from_step: Storable | None = Field(None, description="the path of the step to begin with; earlier ones are kept")
    input: Any = Field(None, description="what replaces the input of that step: the list of its arguments, or a prompt")


class BulkIn(Request):
    """An action on many runs."""

    kind: BulkKind
    filter: FilterIn
    dry_run: StrictBool = Field(False, description="only count")


class BulkPath(BaseModel):
    """A bulk action of the tenant."""

    action_id: str


class CountOut(BaseModel):
    """How many runs an action would change if it began now."""

    total: int
    is_exact: bool


class FilterOut(BaseModel):
    """The filter of an action, without what was left out."""

    status: Status | None = None
    function: str | None = None
    event_name: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    if_: str | None = Field(None, alias="if")


class BulkOut(BaseModel):
    """A bulk action as it stands."""

    id: str
    kind: BulkKind
    filter: FilterOut
    status: BulkStatus
    total: int
    seen: int
    changed: int
    created_at: datetime
    ended_at: datetime | None


class BulkPage(BaseModel):
    """One page of bulk actions, newest first."""

    data: list[BulkOut]
    page: PageOut


class FunctionPath(BaseModel):
    """A function of the fleet."""

    app: str
    function_id: str


class ConcurrencyOut(BaseModel):
    """How many links, or runs, of a key there are at a time."""

    limit: int
    key: str | None
    scope: Literal["function", "app", "tenant"]
    hold: Literal["step", "run"]


class ThrottleOut(BaseModel):
    """How many runs of a key start in so many seconds; the others wait."""

    limit: int
    per: float
    key: str | None
    burst: int


class RateLimitOut(BaseModel):
    """How many runs of a key begin within so many seconds; the others are skipped."""

    limit: int
    per: float
    key: str | None


class PriorityOut(BaseModel):
    """How many seconds a start goes before others: a number, or an expression over `event`."""

    seconds: int | str


class SingletonOut(BaseModel):
    """Whether a second run of a key is skipped, or cancels the first."""

    key: str | None
    mode: Literal["skip", "cancel"]


class FunctionLimitsOut(BaseModel):
    """What a function says about when its runs may begin, and which."""

    concurrency: list[ConcurrencyOut]
    throttle: ThrottleOut | None
    rate_limit: RateLimitOut | None
    priority: PriorityOut | None
    singleton: SingletonOut | None


class FunctionOut(BaseModel):
    """A function as the fleet has declared it."""

    app: str
    id: str
    version: str
    description: str
    queue: str
    triggers: list[str]
    crons: list[str]
    is_paused: bool
    seen_at: datetime
    limits: FunctionLimitsOut


class FunctionList(BaseModel):
    """The functions of the fleet, by name."""

    data: list[FunctionOut]


class SignalIn(Request):
    """A signal for the run that waits for it."""

    signal: Id
    data: Any = None


class SignalledRun(BaseModel):
    """The run that took the signal."""

    run_id: str


class SignalOut(BaseModel):
    """A signal that was given."""

    data: SignalledRun
