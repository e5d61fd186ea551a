"""The pages: the list of runs and the page of one run, for the tenant that is signed in.

A view reads, arranges by a pure function, and renders. A page that refreshes itself asks for its own address again
with the header `X-Fragment` and gets only the part that changes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.run import MOVES, Run, Status
from celeriac.tenants.tenant import Tenant
from celeriac.web.api.answers import view_json
from celeriac.web.auth import check_same_site, is_signed_in, tenant_id
from celeriac.web.cancelling import cancel_run
from celeriac.web.dashboard.conversation import bubbles, state_after, turns
from celeriac.web.dashboard.timeline import timeline
from celeriac.web.paging import page_of_runs
from celeriac.web.rooms import rooms

dashboard = Blueprint("dashboard", __name__)

_PAGE = 50

#: the states to filter by, in the order of a run's life
_STATUSES: list[Status] = [status for status in MOVES if status is not None]


@dashboard.before_request
def require_session() -> Response | None:
    """Send people who are not signed in to the form, and refuse forms of other sites."""
    if not is_signed_in():
        return redirect(url_for("signin.form", next=request.full_path.rstrip("?")), 303)
    if request.method == "POST":
        check_same_site(request)
    return None


@dashboard.get("/")
def home() -> Response:
    """Lead to the runs."""
    return redirect(url_for("dashboard.runs"))


@dashboard.get("/runs")
def runs() -> str:
    """List runs by the filters of the address."""
    status = next((known for known in _STATUSES if known == request.args.get("status")), None)
    function = request.args.get("function") or None
    cursor = request.args.get("cursor") or None
    page = page_of_runs(RunFilter(status=status, function_id=function), limit=_PAGE, cursor=cursor)
    parked = [run.id for run in page.runs if run.status == "parked"]
    around = {} if _is_refresh() else {"functions": rooms().reads.functions(tenant_id()), "tenant": _tenant()}
    return render_template(
        _template_of("runs"),
        page=page,
        reasons=rooms().reads.reasons(tenant_id(), parked),
        lengths={run.id: _length(run) for run in page.runs},
        filters={"status": status, "function": function},
        statuses=_STATUSES,
        cursor=cursor,
        base_url=request.host_url.rstrip("/"),
        tenant_id=tenant_id(),
        **around,
    )


@dashboard.get("/runs/<run_id>")
def run(run_id: str) -> str:
    """Show one run."""
    view = rooms().reads.view(tenant_id(), run_id)
    return render_template(
        _template_of("run"),
        view=view,
        run=view.run,
        length=_length(view.run),
        turns=turns(view.steps),
        timeline=timeline(view, datetime.now(UTC)),
        bubbles=bubbles,
        state_after=state_after,
        tenant=None if _is_refresh() else _tenant(),
    )


@dashboard.get("/runs/<run_id>/raw")
def raw(run_id: str) -> dict[str, Any]:
    """Show everything of a run as the API writes it."""
    return view_json(rooms().reads.view(tenant_id(), run_id))


@dashboard.post("/runs/<run_id>/cancel")
def cancel(run_id: str) -> Response:
    """Ask a run to end, and go back to it."""
    cancel_run(tenant_id(), run_id)
    return redirect(url_for("dashboard.run", run_id=run_id), 303)


def _template_of(page: str) -> str:
    return f"_{page}.html" if _is_refresh() else f"{page}.html"


def _is_refresh() -> bool:
    """Only the part that changes is asked for; nothing is read for the rest of the page."""
    return "X-Fragment" in request.headers


def _length(run: Run) -> timedelta | None:
    """How long the run has taken from its start, up to now while it goes on."""
    if run.started_at is None:
        return None
    return (run.ended_at or datetime.now(UTC)) - run.started_at


def _tenant() -> Tenant:
    return rooms().tenants.get(tenant_id())
