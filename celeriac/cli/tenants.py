"""`celeriac tenants`: make tenants, list them, show and change their limits, pause them, and see who is busy."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Group, json_option
from celeriac.cli.limits import TEXTS, limit_options, read_given, shown, unset_option, who
from celeriac.cli.output import ago, emit, note, table
from celeriac.cli.rooms import rooms
from celeriac.cli.usage import usage_of_tenant

if TYPE_CHECKING:
    from celeriac.tenants.tenant import Tenant

_plan_option = click.option("--plan", metavar="NAME", help="Give it a plan: a named set of limits; `none` for none.")


@click.group(
    cls=Group,
    example="celeriac tenants create 'Acme Ltd' --running 20",
    short_help="Make tenants and set their limits.",
)
def tenants() -> None:
    """Make tenants, list them, show and change their limits."""


@tenants.command("create", example="celeriac tenants create 'Acme Ltd' --plan small --running 20")
@click.argument("name")
@limit_options
@_plan_option
@json_option
def create(name: str, given: tuple[str, ...], plan: str | None, as_json: bool, **options: Any) -> None:
    """Make a tenant; prints its id as JSON."""
    limits = read_given(given, options)
    made = rooms().tenants.create(name, limits=limits, plan=_plan(plan) or None, actor=who())
    emit(_tenant_json(made))


@tenants.command("ls", example="celeriac tenants ls")
@json_option
def ls(as_json: bool) -> None:
    """List all tenants, oldest first."""
    found = rooms().tenants.list()
    if as_json:
        emit({"data": [_tenant_json(tenant) for tenant in found]})
    elif found:
        headers = ("tenant", "plan", "running", "starts/s", "weight", "created", "name")
        click.echo(table(headers, [_row(tenant) for tenant in found]))
    else:
        note("There are no tenants yet; `celeriac tenants create NAME` makes one.")


@tenants.command("limits", example="celeriac tenants limits ten_01J… --set running=20 --set cost_usd_per_day=50")
@click.argument("tenant_id")
@limit_options
@unset_option
@_plan_option
@json_option
def limits(
    tenant_id: str, given: tuple[str, ...], unset: tuple[str, ...], plan: str | None, as_json: bool, **options: Any
) -> None:
    """Show a tenant's limits, after setting those that are given.

    A tenant's own limits go before those of its plan, and the plan's before the defaults.
    """
    wanted, found = read_given(given, options), rooms().tenants
    if wanted or unset or plan is not None:
        tenant = found.change_limits(tenant_id, wanted, unset=unset, plan=_plan(plan), actor=who())
    else:
        tenant = found.get(tenant_id)
    if as_json:
        emit(asdict(tenant.limits))
    else:
        of_plan = dict(rooms().plans.get(tenant.plan).limits) if tenant.plan else {}
        rows = [_limit_row(tenant, of_plan, name) for name in TEXTS]
        click.echo(table(("limit", "is", "from", "for"), rows))


@tenants.command("pause", example="celeriac tenants pause ten_01J…")
@click.argument("tenant_id")
@json_option
def pause(tenant_id: str, as_json: bool) -> None:
    """Let nothing of the tenant start. Events are still accepted; their runs wait, and links that run end."""
    tenant = rooms().tenants.pause(tenant_id, actor=who())
    if as_json:
        emit(_tenant_json(tenant))
    else:
        note(f"Nothing of {tenant_id} starts any more, everywhere within a second; its events are kept.")


@tenants.command("resume", example="celeriac tenants resume ten_01J…")
@click.argument("tenant_id")
@json_option
def resume(tenant_id: str, as_json: bool) -> None:
    """Let a paused tenant's runs start again, those first that have waited."""
    tenant = rooms().tenants.resume(tenant_id, actor=who())
    if as_json:
        emit(_tenant_json(tenant))
    else:
        note(f"The runs of {tenant_id} start again within some seconds.")


@tenants.command("top", example="celeriac tenants top --by queued")
@click.option(
    "--by", type=click.Choice(["running", "queued", "parked", "spent"]), default="running", help="What to sort by."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="How many tenants to show.")
@json_option
def top(by: str, limit: int, as_json: bool) -> None:
    """Show which tenants run, queue and spend most at the moment."""
    from celeriac.cli.top import busiest

    found = busiest(rooms(), by=by, limit=limit)
    if as_json:
        emit({"data": found})
    elif found:
        headers = ("tenant", "running", "queued", "parked", "spent today", "name")
        click.echo(table(headers, [_top_row(one) for one in found]))
    else:
        note("No tenant has anything that runs, waits, or was paid for today.")


tenants.add_command(usage_of_tenant)


def _plan(given: str | None) -> str | None:
    return "" if given is not None and given.lower() == "none" else given


def _limit_row(tenant: Tenant, of_plan: dict[str, Any], name: str) -> tuple[str, ...]:
    origin = "tenant" if name in tenant.own_limits else f"plan {tenant.plan}" if name in of_plan else "default"
    return (name, shown(getattr(tenant.limits, name)), origin, TEXTS[name])


def _tenant_json(tenant: Tenant) -> dict[str, Any]:
    from celeriac.web.api.answers import moment

    return {
        "id": tenant.id,
        "name": tenant.name,
        "plan": tenant.plan,
        "limits": asdict(tenant.limits),
        "paused_at": moment(tenant.paused_at),
        "created_at": moment(tenant.created_at),
    }


def _row(tenant: Tenant) -> tuple[str, ...]:
    held = tenant.limits
    name = f"{tenant.name} (paused)" if tenant.is_paused else tenant.name
    limits = (shown(held.running), shown(held.starts_per_second), shown(held.weight))
    return (tenant.id, tenant.plan or "–", *limits, ago(tenant.created_at), name)


def _top_row(one: dict[str, Any]) -> tuple[str, ...]:
    name = f"{one['name']} (paused)" if one["is_paused"] else one["name"]
    counts = (f"{one[part]:,}" for part in ("running", "queued", "parked"))
    return (one["id"], *counts, f"${one['spent_today_usd']:,.2f}", name)
