"""Backlogs: runs that are put in place before a measurement, without a web process."""

from __future__ import annotations

from benchmarks.tenants.site import Site
from benchmarks.tenants.workload import app
from celeriac import Event

#: most events in one request
PAGE = 2_500


def tell_functions(site: Site) -> None:
    """Declare the functions, so that events find them before a worker has started."""
    site.fleet.rooms.store.declare(app.name, app.declarations(), app.schemas())


def post(site: Site, tenant_id: str, runs: int, seconds: float, *, event: str = "crowd/sleep", **data: object) -> None:
    """Queue so many runs of a tenant."""
    for start in range(0, runs, PAGE):
        count = min(PAGE, runs - start)
        events = [Event(event, {"seconds": seconds, **data}) for _ in range(count)]
        site.fleet.rooms.intake.accept(tenant_id, events)
