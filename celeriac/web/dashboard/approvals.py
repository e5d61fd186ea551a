"""The page of approvals, which lists the tool calls that wait for a person, and the form that decides on one.

The form stands on the page of the run, beside what led to the call.
"""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from celeriac.platform.approval import LONGEST_REASON
from celeriac.web import acting
from celeriac.web.auth import needs
from celeriac.web.dashboard.frame import dashboard, template_of, tenant
from celeriac.web.paging import page_of_approvals
from celeriac.web.problems import Problem

_PAGE = 50

#: what the buttons say
_ANSWERS = {"approve": True, "deny": False}


@dashboard.get("/approvals")
@needs("runs:read")
def approvals() -> str:
    """List the calls that wait, newest first."""
    cursor = request.args.get("cursor") or None
    page = page_of_approvals(limit=_PAGE, cursor=cursor)
    return render_template(template_of("approvals"), page=page, cursor=cursor, tenant=tenant())


@dashboard.post("/runs/<run_id>/approvals/<call_id>")
@needs("runs:write")
def decide(run_id: str, call_id: str) -> Response:
    """Approve or deny a call, and go back to its run."""
    approved = _ANSWERS.get(request.form.get("answer", ""))
    reason = " ".join(request.form.get("reason", "").split())  # it is one line wherever it is told
    if approved is None:
        raise Problem(422, "validation_error", "Press one of the two buttons: a call is approved or denied")
    if len(reason) > LONGEST_REASON:
        raise Problem(422, "validation_error", f"A reason has at most {LONGEST_REASON:,} characters")
    acting.decide(run_id, call_id, approved=approved, reason=reason)
    return redirect(url_for("dashboard.run", run_id=run_id), 303)
