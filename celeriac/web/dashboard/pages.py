"""The pages of runs: the list, and one run with what may be done to it, for the tenant that is signed in.

A view reads, arranges by a pure function, and renders.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from celeriac.platform.approval import LONGEST_REASON
from celeriac.platform.durable.approvals import open_approvals
from celeriac.platform.durable.reads import Page
from celeriac.platform.run import MOVES, Run, Status
from celeriac.web import acting
from celeriac.web.api.answers import view_json
from celeriac.web.auth import actor, may, needs, tenant_id
from celeriac.web.cancelling import cancel_run
from celeriac.web.dashboard.conversation import Turn, bubbles, patch_of, state_after, turns
from celeriac.web.dashboard.filters import given_filters, shown_filter
from celeriac.web.dashboard.frame import dashboard, emails_of_members, is_refresh, template_of, tenant
from celeriac.web.dashboard.timeline import timeline
from celeriac.web.dashboard.words import room_for
from celeriac.web.paging import page_of_runs
from celeriac.web.proxies import public_url
from celeriac.web.rooms import rooms
from celeriac.web.viewing import view_of

_PAGE = 50

#: the states to filter by, in the order of a run's life
STATUSES: list[Status] = [status for status in MOVES if status is not None]


@dashboard.get("/")
@needs("runs:read")
def home() -> Response:
    """Lead to the runs."""
    return redirect(url_for("dashboard.runs"))


@dashboard.get("/runs")
@needs("runs:read")
def runs() -> str:
    """List runs by the filters of the address."""
    filters, cursor = given_filters(request.args), request.args.get("cursor") or None
    where, refusal = shown_filter(filters)
    page = Page(runs=[]) if where is None else page_of_runs(where, limit=_PAGE, cursor=cursor)
    parked = [run.id for run in page.runs if run.status == "parked"]
    around = {} if is_refresh() else {"functions": rooms().reads.functions(tenant_id()), "tenant": tenant()}
    return render_template(
        template_of("runs"),
        page=page,
        reasons=rooms().reads.reasons(tenant_id(), parked),
        lengths={run.id: _length(run) for run in page.runs},
        filters=filters,
        refusal=refusal,
        statuses=STATUSES,
        cursor=cursor,
        base_url=public_url(),
        tenant_id=tenant_id(),
        **around,
    )


@dashboard.get("/runs/<run_id>")
@needs("runs:read")
def run(run_id: str) -> str:
    """Show one run."""
    view = view_of(run_id)
    told, drawn = turns(view.steps), timeline(view, datetime.now(UTC))
    return render_template(
        template_of("run"),
        view=view,
        run=view.run,
        length=_length(view.run),
        approvals=open_approvals(view),
        longest_reason=LONGEST_REASON,
        turns=told,
        names=_names(told),
        timeline=drawn,
        room=room_for(len(drawn.rows)),
        bubbles=bubbles,
        patch_of=patch_of,
        state_after=state_after,
        tenant=tenant(),
    )


@dashboard.get("/runs/<run_id>/raw")
@needs("runs:read")
def raw(run_id: str) -> dict[str, Any]:
    """Show everything of a run as the API writes it."""
    return view_json(view_of(run_id))


@dashboard.post("/runs/<run_id>/cancel")
@needs("runs:write")
def cancel(run_id: str) -> Response:
    """Ask a run to end, and go back to it."""
    cancel_run(tenant_id(), run_id)
    acting.note("run.cancelled", run_id)
    return redirect(url_for("dashboard.run", run_id=run_id), 303)


@dashboard.post("/runs/<run_id>/resume")
@needs("runs:write")
def resume(run_id: str) -> Response:
    """Let a run go on that stands still because its code has changed, and go back to it."""
    rooms().operator.resume(tenant_id(), run_id)
    acting.note("run.resumed", run_id)
    return redirect(url_for("dashboard.run", run_id=run_id), 303)


def _names(told: list[Turn]) -> dict[str, str]:
    """Return what to call those who decided on tool calls; e-mails are for who may see the people of the tenant."""
    calls = [call for turn in told for reply in turn.replies for call in reply.calls]
    if not any(call.decision is not None and call.decision.by for call in calls):
        return {}
    return (emails_of_members() if may("people:read") else {}) | {actor(): "you"}


def _length(run: Run) -> timedelta | None:
    """How long the run has taken from its start, up to now while it goes on."""
    if run.started_at is None:
        return None
    return (run.ended_at or datetime.now(UTC)) - run.started_at
