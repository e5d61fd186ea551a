"""Retention: what has ended long ago goes, batch by batch, oldest first.

The workers' round does one batch at a time and rests in between; `celeriac runs purge` does them one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from celeriac.platform.durable.operations import Operations, Sweep


def batches(operations: Operations, tenant_id: str, before: datetime) -> Iterator[int]:
    """Delete a tenant's runs that ended before that time, then the events that nothing refers to any more.

    Yields after each batch how many rows went with it; whoever stops to ask leaves the rest where it is.
    """
    yield from _swept(lambda after: operations.delete_runs(tenant_id, before, after=after))
    yield from _swept(lambda after: operations.delete_events(tenant_id, before, after=after))
    yield operations.delete_actions(tenant_id, before)


def _swept(sweep: Callable[[str | None], Sweep]) -> Iterator[int]:
    after: str | None = None
    while True:
        swept = sweep(after)
        yield swept.deleted
        after = swept.after
        if after is None:
            return
