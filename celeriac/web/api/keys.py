"""Keys: made, listed, rotated and revoked by those whose key may; and the audit log, which tells who did."""

from __future__ import annotations

from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from celeriac.tenants.keys import KeyWish
from celeriac.web.api.answers import audit_json, key_json
from celeriac.web.api.key_models import AuditPage, AuditQuery, KeyIn, KeyList, KeyOut, KeyPath, NewKeyOut, RotateIn
from celeriac.web.api.models import BODY, refusals
from celeriac.web.auth import actor, caller, needs, tenant_id
from celeriac.web.filters import audit_filter, refusing
from celeriac.web.once import key_seed, once
from celeriac.web.paging import page_of_audit
from celeriac.web.reach import check_reach
from celeriac.web.rooms import rooms
from celeriac.web.sealing import check_sealing

keys = APIBlueprint(
    "keys",
    __name__,
    url_prefix="/v1/keys",
    abp_tags=[Tag(name="keys", description="how the tenant proves who it is")],
    abp_security=[{"key": []}],
    abp_responses=refusals("404", "409", *BODY),
)

audit = APIBlueprint(
    "audit",
    __name__,
    url_prefix="/v1/audit",
    abp_tags=[Tag(name="audit", description="who changed what")],
    abp_security=[{"key": []}],
    abp_responses=refusals(),
)


@keys.get("", responses={"200": KeyList}, summary="List keys")
@needs("keys:read")
def list_keys() -> dict[str, Any]:
    """List the tenant's keys, newest first; never a key itself."""
    return {"data": [key_json(one) for one in rooms().keys.list(tenant_id())]}


@keys.post("", responses={"201": NewKeyOut}, summary="Make a key")
@needs("keys:write")
@once
def create(body: KeyIn) -> tuple[dict[str, Any], int]:
    """Make a key that may do no more than the one that asks; `key` is shown this once."""
    with refusing(422):
        wish = KeyWish.of(body.kind, name=body.name, scopes=body.scopes, lasts=body.expires)
    check_reach(wish.kind, wish.scopes, wish.ends_at)
    if wish.kind == "signing":
        check_sealing()
    key_id, plaintext = rooms().keys.create(tenant_id(), wish, actor=actor(), seed=key_seed(), until=caller().ends_at)
    return key_json(rooms().keys.get(tenant_id(), key_id)) | {"key": plaintext}, 201


@keys.post("/<key_id>/rotate", responses={"201": NewKeyOut}, summary="Replace a key")
@needs("keys:write")
@once
def rotate(path: KeyPath, body: RotateIn) -> tuple[dict[str, Any], int]:
    """Make a successor with the same name, kind and scopes; the old key expires after the overlap."""
    old = rooms().keys.get(tenant_id(), path.key_id)
    check_reach(old.kind, old.scopes, old.expires_at)
    if old.kind == "signing":
        check_sealing()
    with refusing(422):
        key_id, plaintext = rooms().keys.rotate(
            path.key_id,
            body.overlap,
            tenant_id=tenant_id(),
            actor=actor(),
            seed=key_seed(),
            until=caller().ends_at,
        )
    return key_json(rooms().keys.get(tenant_id(), key_id)) | {"key": plaintext}, 201


@keys.delete("/<key_id>", responses={"200": KeyOut}, summary="Revoke a key")
@needs("keys:write")
def revoke(path: KeyPath) -> dict[str, Any]:
    """Refuse a key from now on, everywhere within a second; one that is revoked stays so."""
    rooms().keys.revoke(path.key_id, tenant_id=tenant_id(), actor=actor())
    return key_json(rooms().keys.get(tenant_id(), path.key_id))


@audit.get("", responses={"200": AuditPage}, summary="Read the audit log")
@needs("audit:read")
def read_audit(query: AuditQuery) -> dict[str, Any]:
    """List who changed what of the tenant, newest first."""
    found, cursor = page_of_audit(audit_filter(query), limit=query.limit, cursor=query.cursor)
    position = {"next_cursor": cursor, "has_more": cursor is not None, "limit": query.limit}
    return {"data": [audit_json(entry) for entry in found], "page": position}
