"""Approvals: the tool calls that wait for a person, and the decision on one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field, StrictBool

from celeriac.platform.approval import LONGEST_REASON
from celeriac.web.acting import decide as decide_on
from celeriac.web.api.answers import approval_json
from celeriac.web.api.models import BODY, Id, PageOut, PageQuery, Request, RunPath, Storable, refusals
from celeriac.web.auth import needs
from celeriac.web.once import once
from celeriac.web.paging import page_of_approvals

approvals = APIBlueprint(
    "approvals",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="approvals", description="tool calls that a person decides on")],
    abp_security=[{"key": []}],
    abp_responses=refusals("404", "409", *BODY),
)


class ApprovalsQuery(PageQuery):
    """Which approvals to list, and where to begin."""

    run_id: Id | None = Field(None, description="only those of this run")


class ApprovalPath(RunPath):
    """A call of a run that a person was asked about."""

    call_id: str = Field(description="the id of the approval, the call's `part_id`, or its id at the provider")


class DecisionIn(Request):
    """What a person decides."""

    approved: StrictBool
    reason: Annotated[Storable, Field(max_length=LONGEST_REASON)] | None = Field(
        None, description="what the model is told of a denial; kept in any case"
    )


class DecisionOut(BaseModel):
    """What was decided."""

    approved: bool
    reason: str | None
    by: str | None = Field(description="as in the audit log, or what the app's own code said")
    at: datetime | None


class ApprovalOut(BaseModel):
    """A call of a tool that a person has to decide on, or has."""

    id: str
    run_id: str
    app: str
    function_id: str
    agent: str
    tool: str
    input: dict[str, Any]
    path: str
    call_id: str
    part_id: str
    asked_at: datetime | None
    expires_at: datetime = Field(description="when it counts as denied")
    decision: DecisionOut | None


class ApprovalsPage(BaseModel):
    """One page of the calls that wait for a person, newest first."""

    data: list[ApprovalOut]
    page: PageOut


@approvals.get("/approvals", responses={"200": ApprovalsPage}, summary="List the approvals that are open")
@needs("runs:read")
def list_approvals(query: ApprovalsQuery) -> dict[str, Any]:
    """List the tenant's calls that wait for a person, newest first."""
    page = page_of_approvals(run_id=query.run_id, limit=query.limit, cursor=query.cursor)
    position = {"next_cursor": page.next_cursor, "has_more": page.next_cursor is not None, "limit": query.limit}
    return {"data": [approval_json(one) for one in page.approvals], "page": position}


@approvals.post("/runs/<run_id>/approvals/<call_id>", responses={"200": ApprovalOut}, summary="Approve or deny a call")
@needs("runs:write")
@once
def decide(path: ApprovalPath, body: DecisionIn) -> dict[str, Any]:
    """Let a tool run that waits for a person, or deny it; 409 when it is decided, too late, or its run has ended."""
    return approval_json(decide_on(path.run_id, path.call_id, approved=body.approved, reason=body.reason))
