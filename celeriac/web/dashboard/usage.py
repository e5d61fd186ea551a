"""The page of usage: a month of the tenant, in all, by model, and by day and function."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Response, render_template, request, url_for

from celeriac.web.api.usage import csv_response
from celeriac.web.auth import needs, tenant_id
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms
from celeriac.web.usage import UsageWish, csv_name, total_of, usage_csv

#: the first month that an address may name
_FIRST = date(2000, 1, 1)


@dashboard.get("/usage")
@needs("usage:read")
def usage() -> str:
    """Show a month; this one where the address names none."""
    wish, today = _month(), rooms().usages.today()
    by_day = rooms().usages.usage(tenant_id(), wish.since, wish.until, ("day", "function"))
    by_model = rooms().usages.usage(tenant_id(), wish.since, wish.until, ("model",))
    later = wish.until + timedelta(days=1)
    return render_template(
        "usage.html",
        rows=sorted(by_day, key=lambda row: (-(row.day or today).toordinal(), row.function or "")),
        models=[row for row in by_model if row.model_calls],
        total=total_of(by_day),
        month=wish.since,
        today=today,
        earlier=url_for("dashboard.usage", month=f"{wish.since - timedelta(days=1):%Y-%m}"),
        later=url_for("dashboard.usage", month=f"{later:%Y-%m}") if later <= today else None,
        file=url_for("dashboard.usage_file", month=f"{wish.since:%Y-%m}"),
        tenant=tenant(),
    )


@dashboard.get("/usage.csv")
@needs("usage:read")
def usage_file() -> Response:
    """Hand out a month by day, function and model."""
    wish = _month()
    return csv_response(usage_csv(wish, rooms().usages.usage(tenant_id(), wish.since, wish.until)), csv_name(wish))


def _month() -> UsageWish:
    given = request.args.get("month")
    try:
        first = rooms().usages.today().replace(day=1) if given is None else date.fromisoformat(f"{given}-01")
    except ValueError as error:
        raise Problem(400, "invalid_request", "There is no such month; write it like 2026-01") from error
    if not _FIRST <= first < date.max.replace(day=1):
        raise Problem(400, "invalid_request", "There was nothing to use in that month")
    return UsageWish(since=first, until=(first + timedelta(days=31)).replace(day=1) - timedelta(days=1))
