"""Secrets: what the tenant entrusts to the installation. Values go in and never come out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field, SecretStr

from celeriac.errors import ConfigError
from celeriac.tenants.secrets import LONGEST_VALUE, Secret
from celeriac.web.api.answers import moment
from celeriac.web.api.models import BODY, Request, refusals
from celeriac.web.auth import actor, needs, tenant_id
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms
from celeriac.web.sealing import check_sealing

secrets = APIBlueprint(
    "secrets",
    __name__,
    url_prefix="/v1/secrets",
    abp_tags=[Tag(name="secrets", description="keys at the providers of models, which nobody can read back")],
    abp_security=[{"key": []}],
    abp_responses=refusals("404", *BODY),
)


class SecretPath(BaseModel):
    """A secret of the tenant."""

    name: str


class SecretIn(Request):
    """A secret to keep."""

    value: SecretStr = Field(min_length=1, max_length=LONGEST_VALUE, description="is never shown again")
    provider: str | None = Field(None, description="whose models are called with it, such as openai", max_length=64)


class SecretOut(BaseModel):
    """A secret, without its value."""

    name: str
    provider: str | None
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None


class SecretList(BaseModel):
    """Secrets by name."""

    data: list[SecretOut]


class SecretGone(BaseModel):
    """What was removed."""

    name: str


@secrets.get("", responses={"200": SecretList}, summary="List secrets")
@needs("secrets:read")
def list_secrets() -> dict[str, Any]:
    """List names, providers and times; nothing of the values."""
    return {"data": [_json(one) for one in rooms().secrets.list(tenant_id())]}


@secrets.put("/<name>", responses={"200": SecretOut}, summary="Keep a secret")
@needs("secrets:write")
def put(path: SecretPath, body: SecretIn) -> dict[str, Any]:
    """Keep a value under the name, in place of an older one; used by workers within a second."""
    check_sealing()
    value = body.value.get_secret_value().strip()
    try:
        return _json(rooms().secrets.put(tenant_id(), path.name, value, provider=body.provider, actor=actor()))
    except ConfigError as error:
        raise Problem(422, "validation_error", error.message) from error


@secrets.delete("/<name>", responses={"200": SecretGone}, summary="Remove a secret")
@needs("secrets:write")
def remove(path: SecretPath) -> dict[str, Any]:
    """Forget it; no call is made with it a second later."""
    rooms().secrets.remove(tenant_id(), path.name, actor=actor())
    return {"name": path.name}


def _json(one: Secret) -> dict[str, Any]:
    return {
        "name": one.name,
        "provider": one.provider,
        "created_at": moment(one.created_at),
        "updated_at": moment(one.updated_at),
        "last_used_at": moment(one.last_used_at),
    }
