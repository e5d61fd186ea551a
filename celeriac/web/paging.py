"""Paging: one page of what a tenant has many of, with a cursor that only this installation can have made.

It is good for one tenant. The lists of the API and those of the dashboard both come from here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from itsdangerous import BadSignature, URLSafeSerializer

from celeriac.platform.durable.asked import ApprovalPage
from celeriac.platform.durable.bulk import BulkAction, Place
from celeriac.platform.durable.reads import Page
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.tenants.audit import AuditEntry
from celeriac.tenants.audit_filter import AuditFilter
from celeriac.web.auth import tenant_id
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms


def page_of_runs(where: RunFilter, *, limit: int, cursor: str | None) -> Page:
    """Read one page, newest first; raise `Problem` for a cursor that is none of ours."""
    page = rooms().reads.runs(tenant_id(), where, limit=limit, cursor=_position("cursor", cursor))
    if page.next_cursor is None:
        return page
    return replace(page, next_cursor=str(_signer("cursor").dumps(page.next_cursor)))


def page_of_approvals(*, run_id: str | None = None, limit: int, cursor: str | None) -> ApprovalPage:
    """Read one page of the tool calls that wait for a person, newest first, of all runs or of one."""
    position = _position("approvals", cursor)
    page = rooms().reads.approvals(tenant_id(), run_id=run_id, limit=limit, cursor=position)
    if page.next_cursor is None:
        return page
    return replace(page, next_cursor=str(_signer("approvals").dumps(page.next_cursor)))


def page_of_actions(*, limit: int, cursor: str | None) -> tuple[list[BulkAction], str | None]:
    """Read one page of bulk actions, newest first, and the cursor of the next one."""
    position = _position("bulk", cursor)
    before = None if position is None else _place(position)
    found = rooms().operations.actions(tenant_id(), limit=limit + 1, before=before)
    page = found[:limit]
    return page, _cursor_behind(page[-1]) if len(found) > limit else None


def page_of_audit(where: AuditFilter, *, limit: int, cursor: str | None) -> tuple[list[AuditEntry], str | None]:
    """Read one page of the tenant's audit log, newest first, and the cursor of the next one."""
    before = _position("audit", cursor)
    found = rooms().audit.entries(tenant_id(), where, before=before, most=limit + 1)
    page = found[:limit]
    return page, str(_signer("audit").dumps(page[-1].id)) if len(found) > limit else None


def _cursor_behind(action: BulkAction) -> str:
    at, action_id = action.place
    return str(_signer("bulk").dumps(f"{at.isoformat()} {action_id}"))


def _place(position: str) -> Place:
    at, action_id = position.split(" ")
    return datetime.fromisoformat(at), action_id


def _position(salt: str, cursor: str | None) -> str | None:
    """Return where a cursor of such a list stands; raise `Problem` for one that is none of ours."""
    try:
        return None if cursor is None else str(_signer(salt).loads(cursor))
    except BadSignature as error:
        detail = "The cursor is none of ours; take page.next_cursor as it is, or begin without one"
        raise Problem(400, "invalid_request", detail) from error


def _signer(salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(rooms().settings.secret_key, salt=f"{salt}:{tenant_id()}")
