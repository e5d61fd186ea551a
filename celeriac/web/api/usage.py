"""Usage: what the tenant has used, as JSON or CSV."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.data_type import DataType
from flask_openapi3.models.media_type import MediaType
from flask_openapi3.models.schema import Schema
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from celeriac.web.api.models import Id, Request, refusals
from celeriac.web.auth import needs, tenant_id
from celeriac.web.filters import refusing
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms
from celeriac.web.usage import csv_name, usage_csv, usage_json, usage_wish

#: how many rows an answer may have
MOST_ROWS = 50_000

usage = APIBlueprint(
    "usage",
    __name__,
    url_prefix="/v1/usage",
    abp_tags=[Tag(name="usage", description="what the tenant has used")],
    abp_security=[{"key": []}],
    abp_responses=refusals(),
)


_CSV = MediaType(schema=Schema(type=DataType.STRING, description="the rows below the names of their columns"))


class UsageQuery(Request):
    """Which usage is meant."""

    since: date | None = Field(None, description="the first day, in UTC; left out: the first of the last day's month")
    until: date | None = Field(None, description="the last day, which is included; left out: today")
    by: Id | None = Field(None, description="some of day,function,model, or total; left out: all three")
    format: Literal["json", "csv"] | None = Field(None, description="left out: as the header Accept says")


class UsageRowOut(BaseModel):
    """What was used under one key; keys that were not asked for are left out."""

    day: date | None = Field(None, description="in UTC, by the database's clock")
    function: str | None = Field(None, description="app/id; empty for events that came from outside")
    model: str | None = Field(None, description="provider:model; empty for what is no call of a model")
    runs: int
    links: int
    steps: int
    model_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_usd: float
    bytes: int = Field(description="of values of steps and of data of events")


class UsageList(BaseModel):
    """Usage of the days from `since` to `until`, both included, in the order of the keys."""

    since: date
    until: date
    by: list[str]
    data: list[UsageRowOut]
    total: UsageRowOut

    model_config = ConfigDict(openapi_extra={"content": {"text/csv": _CSV}})  # type: ignore[typeddict-unknown-key]


@usage.get("", responses={"200": UsageList}, summary="Tell what was used")
@needs("usage:read")
def get_usage(query: UsageQuery) -> dict[str, Any] | Response:
    """Tell what the tenant has used, exact at this moment; with `format=csv` or `Accept: text/csv` as CSV."""
    with refusing(400):
        wish = usage_wish(rooms().usages.today, since=query.since, until=query.until, by=query.by)
    rows = rooms().usages.usage(tenant_id(), wish.since, wish.until, wish.by)
    if len(rows) > MOST_ROWS:
        raise Problem(400, "invalid_request", f"These are more than {MOST_ROWS} rows; ask for fewer days or keys")
    if query.format == "csv" or (query.format is None and _asks_for_csv()):
        return csv_response(usage_csv(wish, rows), csv_name(wish))
    return usage_json(wish, rows)


def csv_response(text: str, name: str) -> Response:
    """Return the text as a file to be kept."""
    response = Response(text, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _asks_for_csv() -> bool:
    return request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv"
