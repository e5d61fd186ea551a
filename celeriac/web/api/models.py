"""The models of the API: what requests are checked against, and what answers look like in `/openapi.json`.

Requests are validated by them; answers are written by `api/answers.py` in their shape, without a second validation.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from flask_openapi3.types import ResponseDict
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from celeriac.platform.run import Status

#: a text that every database can hold
Storable = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
#: such a text that is an id or a name
Id = Annotated[Storable, Field(max_length=255)]
#: a time; in UTC where it names no zone
UtcTime = Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo is not None else at.replace(tzinfo=UTC))]


class Request(BaseModel):
    """What somebody asks; a field that it does not know is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def refuse_the_first_unknown(cls, given: Any) -> Any:
        """Name one unknown field. Left to itself the model names each, and a body may have a million of them."""
        known = {field.alias or name for name, field in cls.model_fields.items()}
        unknown = next((name for name in given if name not in known), None) if isinstance(given, dict) else None
        if unknown is not None:
            error = InitErrorDetails(type="extra_forbidden", loc=(unknown,), input=None)
            raise ValidationError.from_exception_data(cls.__name__, [error])
        return given


class EventIn(Request):
    """An event to send. The Inngest SDKs' fields are understood; empty ones count as left out."""

    name: Storable = Field(description="what happened, such as support/ticket.opened")
    data: dict[str, Any] | None = Field(None, description="what it happened to")
    id: Id | None = Field(None, description="your own id; a second event with it within 24 h starts nothing")
    ts: int | float | str | None = Field(None, description="when it happened: milliseconds since 1970, or ISO 8601")
    v: str | None = Field(None, description="accepted and not used")
    user: dict[str, Any] | None = Field(None, description="accepted and not used")
    meta: dict[str, Any] | None = Field(None, description="accepted and not used")

    def given(self) -> dict[str, Any]:
        """Return what the intake takes."""
        return {"name": self.name, "data": self.data, "id": self.id or None, "ts": self.ts}


def _form(body: Any) -> str:
    return "many" if isinstance(body, list) else "one"


class EventsIn(
    RootModel[Annotated[Annotated[EventIn, Tag("one")] | Annotated[list[EventIn], Tag("many")], Discriminator(_form)]]
):
    """One event, or a list of them that is taken whole or not at all."""

    def given(self) -> list[dict[str, Any]]:
        """Return what the intake takes."""
        return [event.given() for event in (self.root if isinstance(self.root, list) else [self.root])]


class EventKeyPath(BaseModel):
    """Where an event is posted to."""

    event_key: str = Field(description="the tenant's event key")


class EventPath(BaseModel):
    """An event of the tenant."""

    event_id: str


class RunPath(BaseModel):
    """A run of the tenant."""

    run_id: str


class FilterIn(Request):
    """Which runs are meant; everything left out matches."""

    status: Status | None = None
    function: Id | None = Field(None, description="a function's id, or app/id")
    event_name: Annotated[Storable, Field(max_length=512)] | None = Field(
        None, description="the name of the event that they run with"
    )
    created_after: UtcTime | None = Field(None, description="created at this time or later; UTC where it says nothing")
    created_before: UtcTime | None = Field(None, description="created before this time")
    if_: Annotated[Storable, Field(max_length=2_000)] | None = Field(
        None, alias="if", description="an expression over `event` and `run`"
    )


class PageQuery(Request):
    """How much of a list, and where to begin."""

    limit: int = Field(20, ge=1, le=100)
    cursor: Id | None = Field(None, description="`page.next_cursor` of the page before")


class RunsQuery(FilterIn, PageQuery):
    """Which runs to list, and where to begin."""


class EventIds(BaseModel):
    """Events that were taken in, in the order given."""

    ids: list[str]
    status: Literal[200]


class AcceptedEvent(BaseModel):
    """An event that was taken in; a duplicate carries the id of the first one."""

    id: str
    name: str


class AcceptedEvents(BaseModel):
    """Events that were taken in, in the order given."""

    data: list[AcceptedEvent]


class UsageOut(BaseModel):
    """What a run has used so far."""

    model_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_usd: float


class ErrorOut(BaseModel):
    """Why a run failed."""

    code: str
    message: str


class RunOut(BaseModel):
    """A run as it stands."""

    id: str
    tenant_id: str
    app: str
    function_id: str
    event_id: str | None
    status: Status
    reason: str | None
    output: Any
    error: ErrorOut | None
    usage: UsageOut
    links: int
    version: str
    rerun_of: str | None
    parent_id: str | None
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    retry_at: datetime | None = Field(description="of a run that a rate limit skipped: when the next may begin")


class StepErrorOut(BaseModel):
    """Why a step, or one attempt of it, failed."""

    name: str
    message: str


class AttemptOut(BaseModel):
    """One execution of a step's body."""

    number: int
    started_at: datetime | None
    ended_at: datetime | None
    error: StepErrorOut | None


class StepOut(BaseModel):
    """A step with the steps inside it."""

    path: str
    kind: str
    status: Literal["completed", "failed", "waiting", "retrying", "open"]
    attempts: list[AttemptOut]
    input: Any
    output: Any
    error: StepErrorOut | None
    children: list[StepOut]


class RunDetail(RunOut):
    """A run with its steps, and what it waits for in words."""

    steps: list[StepOut]
    waiting_for: str | None
    root_id: str | None


class PageOut(BaseModel):
    """Where a list goes on."""

    next_cursor: str | None
    has_more: bool
    limit: int


class RunList(BaseModel):
    """The runs that an event started."""

    data: list[RunOut]


class RunsPage(RunList):
    """One page of runs, newest first."""

    page: PageOut


class Health(BaseModel):
    """Whether the process lives."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether requests can be served: without the database none, without Redis all, only later."""

    status: Literal["ok", "degraded", "unavailable"]
    database: Literal["ok", "down"]
    redis: Literal["ok", "down"]


class PlaceOut(BaseModel):
    """One place in a request that does not fit."""

    pointer: str
    detail: str


class ProblemOut(BaseModel):
    """Why a request was refused; `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[PlaceOut]
    limit_name: str | None = Field(None, description="the limit that was reached, where it is one")
    scope: Literal["tenant"] | None = Field(None, description="whose limit that is")


_REFUSALS = {
    "400": "the request cannot be read",
    "401": "no key, or an unknown one",
    "403": "a key of another kind is needed",
    "404": "no such thing for this tenant",
    "409": "it cannot be done as things stand",
    "413": "too much in one request",
    "415": "the body is no JSON",
    "422": "the body does not fit",
    "429": "a limit of the tenant is reached; Retry-After says when to ask again, limit_name which one it is",
    "500": "something failed on our side",
    "503": "the database does not answer; Retry-After says when to ask again",
}


#: what a body may be refused with
BODY = ("413", "415", "422")

#: what whoever needs a key may be refused with, whatever is asked
_ANYTHING = ("400", "401", "403", "429", "503")


def refusals(*statuses: str) -> ResponseDict:
    """Describe what the operations of a blueprint that ask for a key may refuse with, besides what all of them may."""
    return problems(*_ANYTHING, *statuses)


def problems(*statuses: str) -> ResponseDict:
    """Describe the problems that the operations of a blueprint may answer with."""
    content = {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{ProblemOut.__name__}"}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in (*statuses, "500")}
