"""The quota on queued runs: how a store says no, and when to ask again.

Whether there is room is decided inside the transaction that would queue the runs; see the stores' `ingest`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from celeriac.errors import RefusedError

#: nobody can say when a run will start; after this time it is worth asking again
ASK_AGAIN_AFTER = timedelta(seconds=2)


def too_many_queued(most: int) -> RefusedError:
    """Return the error of events that would queue more runs than the tenant may have."""
    return RefusedError(
        f"The tenant may have {most} queued runs, and these events would make them more; nothing of them was stored. "
        "Send again once some have started",
        code="quota_exceeded",
        retry_at=datetime.now(UTC) + ASK_AGAIN_AFTER,
        limit="queued_runs",
    )
