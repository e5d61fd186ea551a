"""Viewing: one run as the API, its page and the raw view tell of it, so that all three say why it waits."""

from __future__ import annotations

from celeriac.platform.durable.holdups import view_with_holdup
from celeriac.platform.durable.reads import RunView
from celeriac.web.auth import tenant_id
from celeriac.web.rooms import rooms


def view_of(run_id: str) -> RunView:
    """Return a run of the tenant that asks, with its steps and what it waits for; raise `NotFoundError`."""
    is_paused = rooms().tenants.is_paused(tenant_id())
    return view_with_holdup(rooms().reads, rooms().gate, tenant_id(), run_id, is_paused=is_paused)
