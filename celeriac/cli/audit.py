"""`celeriac audit`: who changed what of a tenant, or of the installation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Command, json_option
from celeriac.cli.output import emit, note, table
from celeriac.cli.rooms import rooms, rooms_for
from celeriac.cli.run_filter import Moment
from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from celeriac.tenants.audit_filter import AuditFilter


@click.command(
    "audit",
    cls=Command,
    example="celeriac audit ten_01J… --action key. --since 30d",
    short_help="Show who changed what.",
)
@click.argument("tenant_id", required=False)
@click.option("--installation", is_flag=True, help="What is no tenant's: users, passwords, plans.")
@click.option("--action", metavar="NAME", help="Only what was done so, like key.revoked; key. for all that begins so.")
@click.option("--actor", metavar="WHO", help="Only what they did, like user:usr_01J… or cli:ada.")
@click.option("--subject", metavar="ID", help="Only what was done to this.")
@click.option("--since", type=Moment(), help="Only what was written then or later; 2h: two hours ago.")
@click.option("--until", type=Moment(), help="Only what was written before.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many entries.")
@click.option("--before", metavar="ID", help="Only entries older than this one.")
@json_option
def audit(
    tenant_id: str | None, *, installation: bool, limit: int, before: str | None, as_json: bool, **given: Any
) -> None:
    """List the audit log of a tenant (or of CELERIAC_DEFAULT_TENANT), or that of the installation, newest first."""
    from celeriac.settings import load_settings
    from celeriac.web.api.answers import audit_json

    tenant_id = tenant_id or (None if installation else load_settings().default_tenant)
    if (tenant_id is None) != installation:
        raise click.UsageError("Name a tenant, or ask for --installation; one of the two.")
    house = rooms() if tenant_id is None else rooms_for(tenant_id)
    where = _filter_of(given)
    found = house.audit.entries(tenant_id, where, before=before, most=limit)
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
        note("Nothing was changed yet." if not any(given.values()) else "Nothing that was changed is so.")


def _filter_of(given: dict[str, Any]) -> AuditFilter:
    from celeriac.tenants.audit_filter import AuditFilter

    try:
        return AuditFilter(**given)
    except ConfigError as error:
        raise click.UsageError(error.message) from error
