"""Paging: one page of a tenant's runs, with a cursor that only this installation can have made, for this tenant.

The list of the API and that of the dashboard both come from here.
"""

from __future__ import annotations

from dataclasses import replace

from itsdangerous import BadSignature, URLSafeSerializer

from celeriac.platform.durable.reads import Page
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.web.auth import tenant_id
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms


def page_of_runs(where: RunFilter, *, limit: int, cursor: str | None) -> Page:
    """Read one page, newest first; raise `Problem` for a cursor that is none of ours."""
    try:
        position = None if cursor is None else str(_signer().loads(cursor))
        page = rooms().reads.runs(tenant_id(), where, limit=limit, cursor=position)
    except (BadSignature, ValueError) as error:
        detail = "The cursor is none of ours; take page.next_cursor as it is, or begin without one"
        raise Problem(400, "invalid_request", detail) from error
    return page if page.next_cursor is None else replace(page, next_cursor=str(_signer().dumps(page.next_cursor)))


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(rooms().settings.secret_key, salt=f"cursor:{tenant_id()}")
