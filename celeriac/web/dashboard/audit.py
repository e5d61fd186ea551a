"""The page of the audit log: who changed what of the tenant, newest first."""

from __future__ import annotations

from flask import render_template, request

from celeriac.web.auth import needs, tenant_id
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.paging import page_of_audit
from celeriac.web.rooms import rooms

_PAGE = 50


@dashboard.get("/settings/audit")
@needs("audit:read")
def audit() -> str:
    """List the entries."""
    cursor = request.args.get("cursor") or None
    entries, next_cursor = page_of_audit(limit=_PAGE, cursor=cursor)
    emails = {f"user:{member.user.id}": member.user.email for member in rooms().people.members(tenant_id())}
    emails |= {name.partition(":")[2]: email for name, email in emails.items()}
    return render_template(
        "audit.html", entries=entries, emails=emails, cursor=cursor, next_cursor=next_cursor, tenant=tenant()
    )
