"""The page by which a run is done again, from its beginning or from a step on, with another input for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from celeriac.errors import ConfigError, ConflictError
from celeriac.platform.durable.reads import StepView
from celeriac.platform.durable.rerun import EDITABLE, Wish
from celeriac.web import acting
from celeriac.web.auth import needs, tenant_id
from celeriac.web.body import read_json
from celeriac.web.dashboard.frame import dashboard, tenant
from celeriac.web.rooms import rooms


@dashboard.get("/runs/<run_id>/rerun")
@needs("runs:write")
def rerun_form(run_id: str) -> str:
    """Ask whether the run is to be done again, and how."""
    path = request.args.get("from") or None
    step = _step(run_id, path)
    return _form(run_id, path, _source(step), refusal=None)


@dashboard.post("/runs/<run_id>/rerun")
@needs("runs:write")
def rerun(run_id: str) -> AnyResponse:
    """Do the run again, and go to the new one."""
    path, text = request.form.get("from") or None, request.form.get("input")
    step = _step(run_id, path)
    try:
        edited = None if text is None or text.strip() == (_source(step) or "").strip() else read_json(text.encode())
        again = rooms().operator.rerun(tenant_id(), run_id, Wish(from_step=path, input=edited))
    except (ConfigError, ConflictError) as error:
        return Response(_form(run_id, path, text, refusal=error.message), 409)
    except ValueError as error:
        return Response(_form(run_id, path, text, refusal=f"The input {error}"), 422)
    acting.note("run.rerun", run_id, {"run": again.id, "from_step": path})
    return redirect(url_for("dashboard.run", run_id=again.id), 303)


def _form(run_id: str, path: str | None, text: str | None, *, refusal: str | None) -> str:
    run = rooms().reads.run(tenant_id(), run_id)
    return render_template("rerun.html", run=run, path=path, text=text, refusal=refusal, tenant=tenant())


def _step(run_id: str, path: str | None) -> StepView | None:
    if path is None:
        return None
    view = rooms().reads.view(tenant_id(), run_id)
    return next((step for step in _all(view.steps) if step.path == path), None)


def _source(step: StepView | None) -> str | None:
    """Return the input as JSON text to edit; None where the step takes no other."""
    if step is None or step.kind not in EDITABLE or step.status not in ("completed", "failed"):
        return None
    if step.input is not None and not isinstance(step.input, list | dict):
        return None  # it was too long to be kept, or had no JSON form
    return json.dumps([] if step.input is None else step.input, ensure_ascii=False, indent=2)


def _all(steps: Sequence[StepView]) -> Iterator[StepView]:
    for step in steps:
        yield step
        yield from _all(step.children)
