"""`celeriac tenants`: make tenants, list them, show and change their limits."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import F, Group, json_option
from celeriac.cli.output import ago, emit, note, table
from celeriac.cli.rooms import rooms
from celeriac.cli.usage import usage_of_tenant

if TYPE_CHECKING:
    from celeriac.tenants.tenant import Tenant


def limit_options(command: F) -> F:
    """Give the command one option for each limit of a tenant."""
    for name, kind, text in reversed(_LIMITS):
        command = click.option(f"--{name.replace('_', '-')}", name, type=kind, metavar="N", help=text)(command)
    return command


_LIMITS: list[tuple[str, Any, str]] = [
    ("running", click.IntRange(min=1), "Links that may run at the same time."),
    ("starts_per_second", click.FloatRange(min=0, min_open=True), "Runs that may start each second."),
    ("starts_burst", click.IntRange(min=1), "Run starts that may be saved up."),
    ("retention_days", click.IntRange(min=0), "Days that ended runs and their events are kept; 0: for ever."),
]


@click.group(
    cls=Group,
    example="celeriac tenants create 'Acme Ltd' --running 20",
    short_help="Make tenants and set their limits.",
)
def tenants() -> None:
    """Make tenants, list them, show and change their limits."""


@tenants.command("create", example="celeriac tenants create 'Acme Ltd' --running 20")
@click.argument("name")
@limit_options
@json_option
def create(name: str, as_json: bool, **limits: Any) -> None:
    """Make a tenant; prints its id as JSON."""
    from celeriac.tenants.quotas import Limits

    emit(_tenant_json(rooms().tenants.create(name, replace(Limits(), **_given(limits)))))


@tenants.command("ls", example="celeriac tenants ls")
@json_option
def ls(as_json: bool) -> None:
    """List all tenants, oldest first."""
    found = rooms().tenants.list()
    if as_json:
        emit({"data": [_tenant_json(tenant) for tenant in found]})
    elif found:
        headers = ("tenant", "running", "starts/s", "burst", "kept days", "created", "name")
        click.echo(table(headers, [_row(tenant) for tenant in found]))
    else:
        note("There are no tenants yet; `celeriac tenants create NAME` makes one.")


@tenants.command("limits", example="celeriac tenants limits ten_01J… --running 20 --starts-per-second 5")
@click.argument("tenant_id")
@limit_options
@json_option
def limits(tenant_id: str, as_json: bool, **limits: Any) -> None:
    """Show a tenant's limits, after setting those that are given."""
    tenants = rooms().tenants
    tenant = tenants.get(tenant_id)
    if given := _given(limits):
        tenant = tenants.set_limits(tenant_id, replace(tenant.limits, **given))
    if as_json:
        emit(asdict(tenant.limits))
    else:
        texts = {name: text for name, _, text in _LIMITS}
        rows = [(name, _shown(value), texts[name]) for name, value in asdict(tenant.limits).items()]
        click.echo(table(("limit", "is", "for"), rows))


tenants.add_command(usage_of_tenant)


def _given(limits: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in limits.items() if value is not None}


def _tenant_json(tenant: Tenant) -> dict[str, Any]:
    from celeriac.web.api.answers import moment

    limits = asdict(tenant.limits)
    return {"id": tenant.id, "name": tenant.name, "limits": limits, "created_at": moment(tenant.created_at)}


def _row(tenant: Tenant) -> tuple[str, ...]:
    limits = map(_shown, asdict(tenant.limits).values())
    return (tenant.id, *limits, ago(tenant.created_at), tenant.name)


def _shown(limit: float | None) -> str:
    return "default" if limit is None else f"{limit:g}"
