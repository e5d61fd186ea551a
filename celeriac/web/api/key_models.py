"""The models of keys and the audit log, as `/openapi.json` shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from celeriac.tenants.keys import KeyKind
from celeriac.tenants.roles import KeyScope
from celeriac.web.api.models import Id, PageOut, PageQuery, Request, Storable, UtcTime

#: a duration as text
Span = Annotated[Storable, Field(max_length=40)]


class KeyIn(Request):
    """A key to make."""

    kind: KeyKind
    name: Annotated[Storable, Field(max_length=200)] = ""
    scopes: list[KeyScope] | None = Field(
        None, fail_fast=True, description="what it may do; all that its kind may where left out"
    )
    expires: Span | None = Field(None, description="how long it lasts, such as 90d; for ever where left out")


class RotateIn(Request):
    """How to replace a key: `{}` lets the old one go on for a day."""

    overlap: Span = Field("24h", description="how long the old key is good beside the new one")


class KeyPath(BaseModel):
    """A key of the tenant."""

    key_id: str


class KeyOut(BaseModel):
    """What may be told about a key."""

    id: str
    kind: KeyKind
    name: str
    scopes: list[KeyScope] | None
    status: Literal["active", "expired", "revoked"]
    created_at: datetime
    created_by: str | None
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    successor_of: str | None


class NewKeyOut(KeyOut):
    """A key that was just made, with the key itself, which nobody can show again."""

    key: str


class KeyList(BaseModel):
    """The keys of the tenant, newest first."""

    data: list[KeyOut]


class AuditFilterIn(Request):
    """Which entries of the audit log are meant; everything left out matches."""

    action: Id | None = Field(None, description="what was done, like key.revoked; or key. for all that begins so")
    actor: Id | None = Field(None, description="who did it, like user:usr_01J…, key:Zk3nQ81xY2 or cli:ada")
    subject: Id | None = Field(None, description="what it was done to: an id")
    since: UtcTime | None = Field(None, description="written at this time or later; UTC where it says nothing")
    until: UtcTime | None = Field(None, description="written before this time")


class AuditQuery(AuditFilterIn, PageQuery):
    """Which entries to list, and where to begin."""


class AuditOut(BaseModel):
    """One change."""

    id: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    at: datetime


class AuditPage(BaseModel):
    """One page of the audit log, newest first."""

    data: list[AuditOut]
    page: PageOut
