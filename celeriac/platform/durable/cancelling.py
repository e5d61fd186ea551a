"""Cancelling: the one way by which the web, the CLI and an app ask a run to end."""

from __future__ import annotations

import logging

from celeriac.platform.durable.store import Store
from celeriac.platform.flow.gate import Gate
from celeriac.platform.run import Run
from celeriac.platform.streams.reading import close_quietly
from celeriac.platform.streams.stream import Stream

log = logging.getLogger(__name__)


def cancel(store: Store, gate: Gate, tenant_id: str, run_id: str, *, stream: Stream | None = None) -> Run:
    """Ask a run to end; return it as it stands then.

    A queued or parked one is cancelled here and now, and its place at the gate is free; a running one is aborted at
    its worker's next heartbeat. Raises `NotFoundError`, also for another tenant's run.
    """
    run = store.cancel(tenant_id, run_id)
    if run.status == "cancelled":
        try:
            gate.forget(run_id)
        except Exception as error:  # noqa: BLE001  # the gate is a hint; its slots end by time
            log.warning("The gate does not answer; it forgets run %s by time: %s", run_id, error)
        if stream is not None:
            close_quietly(stream, run)
    return run
