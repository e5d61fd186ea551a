"""Limits: what the tenant that asks may take, and what is left of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from celeriac.platform.flow.meter import Level
from celeriac.platform.models.catalog import PROVIDERS
from celeriac.web.api.answers import moment
from celeriac.web.api.models import refusals
from celeriac.web.auth import needs, tenant_id
from celeriac.web.rooms import rooms

limits = APIBlueprint(
    "limits",
    __name__,
    url_prefix="/v1/limits",
    abp_tags=[Tag(name="limits", description="what a tenant may take")],
    abp_security=[{"key": []}],
    abp_responses=refusals(),
)


class LevelOut(BaseModel):
    """How much of something is left."""

    limit: float
    left: float
    reset_seconds: float = Field(description="seconds until all of it is there again, if nothing is taken")


class CostOut(BaseModel):
    """What models have cost, in US dollars."""

    spent: float
    limit: float | None
    reset_at: datetime


class LimitsOut(BaseModel):
    """A tenant's limits (null: none, or as the installation says) and what is left of them."""

    plan: str | None
    is_paused: bool
    limits: dict[str, float | bool | None]
    requests: dict[str, LevelOut] = Field(description="api; requests and tokens of each provider")
    cost_usd: dict[Literal["day", "month"], CostOut]
    queued_runs: int


class LimitsAnswer(BaseModel):
    """The tenant's limits."""

    data: LimitsOut


@limits.get("", responses={"200": LimitsAnswer}, summary="Get the tenant's limits and what is left of them")
@needs("limits:read")
def get_limits() -> dict[str, Any]:
    """Return the limits that hold for the tenant of the key, what of them is left, and when it is there again."""
    meter, tenant = rooms().meter, rooms().tenants.recent(tenant_id())
    spent, (tomorrow, next_month) = meter.spent(tenant.id), meter.resets()
    held = tenant.limits
    days = {"spent": spent.today, "limit": held.cost_usd_per_day, "reset_at": moment(tomorrow)}
    months = {"spent": spent.this_month, "limit": held.cost_usd_per_month, "reset_at": moment(next_month)}
    return {
        "data": {
            "plan": tenant.plan,
            "is_paused": tenant.is_paused,
            "limits": vars(held),
            "requests": {name: _level(level) for name, level in meter.levels(tenant.id, PROVIDERS).items()},
            "cost_usd": {"day": days, "month": months},
            "queued_runs": rooms().reads.queued_runs(tenant.id),
        }
    }


def _level(level: Level) -> dict[str, float]:
    return {
        "limit": level.limit,
        "left": round(max(0.0, level.left), 3),
        "reset_seconds": round(level.reset.total_seconds(), 3),
    }
