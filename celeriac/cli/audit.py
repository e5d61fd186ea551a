"""`celeriac audit`: who changed what of a tenant, or of the installation."""

from __future__ import annotations

import json

import click

from celeriac.cli.command import Command, json_option
from celeriac.cli.output import emit, note, table
from celeriac.cli.rooms import rooms, rooms_for


@click.command("audit", cls=Command, example="celeriac audit ten_01J…", short_help="Show who changed what.")
@click.argument("tenant_id", required=False)
@click.option("--installation", is_flag=True, help="What is no tenant's: users, passwords, plans.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many entries.")
@click.option("--before", metavar="ID", help="Only entries older than this one.")
@json_option
def audit(tenant_id: str | None, *, installation: bool, limit: int, before: str | None, as_json: bool) -> None:
    """List the audit log of a tenant, or that of the installation, newest first."""
    from celeriac.web.api.answers import audit_json

    if (tenant_id is None) != installation:
        raise click.UsageError("Name a tenant, or ask for --installation; one of the two.")
    house = rooms() if tenant_id is None else rooms_for(tenant_id)
    found = house.audit.entries(tenant_id, before=before, most=limit)
    if as_json:
        emit({"data": [audit_json(entry) for entry in found]})
    elif found:
        rows = [
            (
                f"{entry.at:%Y-%m-%d %H:%M:%S}",
                entry.actor,
                entry.action,
                entry.subject,
                json.dumps(dict(entry.detail), ensure_ascii=False) if entry.detail else "",
            )
            for entry in found
        ]
        click.echo(table(("at (UTC)", "who", "what", "to what", "detail"), rows))
    else:
        note("Nothing was changed yet.")
