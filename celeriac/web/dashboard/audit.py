"""The page of the audit log: who changed what of the tenant, newest first."""

from __future__ import annotations

from flask import render_template, request

from celeriac.web.auth import needs
from celeriac.web.dashboard.filters import AUDIT_NAMES, given_filters, shown_audit_filter
from celeriac.web.dashboard.frame import dashboard, emails_of_members, tenant
from celeriac.web.paging import page_of_audit

_PAGE = 50


@dashboard.get("/settings/audit")
@needs("audit:read")
def audit() -> str:
    """List the entries by the filters of the address."""
    filters, cursor = given_filters(request.args, AUDIT_NAMES), request.args.get("cursor") or None
    emails = emails_of_members()
    emails |= {name.partition(":")[2]: email for name, email in emails.items()}
    where, refusal = shown_audit_filter(_by_id(filters, emails))
    entries, next_cursor = ([], None) if where is None else page_of_audit(where, limit=_PAGE, cursor=cursor)
    return render_template(
        "audit.html",
        entries=entries,
        emails=emails,
        filters=filters,
        refusal=refusal,
        cursor=cursor,
        next_cursor=next_cursor,
        tenant=tenant(),
    )


def _by_id(filters: dict[str, str], emails: dict[str, str]) -> dict[str, str]:
    """Return the filters with the ids of those who are named by their e-mail, as the page shows them."""
    named = dict(filters)
    for ref, email in emails.items():
        name = "actor" if ref.startswith("user:") else "subject"
        if named.get(name, "").lower() == email:
            named[name] = ref
    return named
