"""Who is busy: the tenants that run, queue and spend most, as `celeriac tenants top` shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celeriac.platform.durable.reads import Load

if TYPE_CHECKING:
    from celeriac.wiring import Installation


def busiest(rooms: Installation, *, by: str, limit: int) -> list[dict[str, Any]]:
    """Return the tenants with most of what is asked for, those with none of anything left out.

    Runs are counted in the database, which knows them whatever Redis has lost.
    """
    loads = rooms.reads.loads()
    found = [(tenant, loads.get(tenant.id, Load())) for tenant in rooms.tenants.list()]
    if by != "spent":
        found = sorted(found, key=lambda one: -getattr(one[1], by))[:limit]
    rows: list[dict[str, Any]] = [
        {
            "id": tenant.id,
            "name": tenant.name,
            "is_paused": tenant.is_paused,
            "running": load.running,
            "queued": load.queued,
            "parked": load.parked,
            "spent_today_usd": rooms.meter.spent(tenant.id).today,
        }
        for tenant, load in found
    ]
    if by == "spent":
        rows = sorted(rows, key=lambda row: -row["spent_today_usd"])[:limit]
    return [row for row in rows if any(row[part] for part in ("running", "queued", "parked", "spent_today_usd"))]
