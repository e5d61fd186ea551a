"""Cancelling: ending a run alike for the API and the dashboard, with the refusals that both of them give."""

from __future__ import annotations

from celeriac.platform.durable.cancelling import cancel
from celeriac.platform.run import Run
from celeriac.web.once import was_tried
from celeriac.web.problems import Problem
from celeriac.web.rooms import rooms


def cancel_run(tenant_id: str, run_id: str) -> Run:
    """Ask the run to end and return it as it stands then; raise `Problem` where it had ended without us."""
    before = rooms().reads.run(tenant_id, run_id)
    if before.status == "cancelled" and was_tried():
        return before  # by the request that found no time to say so
    after = before if before.is_final else cancel(rooms().store, rooms().gate, tenant_id, run_id, stream=rooms().stream)
    if before.is_final or (after.is_final and after.status != "cancelled"):
        raise Problem(409, "run_already_ended", f"Run {run_id!r} has ended already: it is {after.status}")
    return after
