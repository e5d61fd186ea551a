"""The link as a Celery task: a thin shim around the engine.

When the run goes on at once, the next link is put on this task's own chain, so that Celery sends it after the body
and the run stays one chain from its first link to its last.
"""

from __future__ import annotations

from typing import Any

from celeriac.platform.durable.dispatch import ADVANCE
from celeriac.platform.durable.store import Link
from celeriac.tasks.celery import app
from celeriac.tasks.process import current_process


@app.task(name=ADVANCE, bind=True)  # type: ignore[misc,untyped-decorator,unused-ignore]
def advance(self: Any, run_id: str, fence: int | None = None) -> None:
    """Advance one run by one link; a message that is old or doubled names a fence that is gone, and does nothing."""
    request = self.request
    link = Link(id=request.id, root_id=request.root_id or request.id, fence=None if fence is None else int(fence))
    if current_process().advance(run_id, link):
        queue = request.delivery_info["routing_key"]
        request.chain = [self.si(run_id, None if link.fence is None else link.fence + 1).set(queue=queue)]
