"""`celeriac plans`: make, list, change and remove plans, the named sets of limits that tenants may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Group, json_option
from celeriac.cli.limits import limit_options, read_given, shown, unset_option, who
from celeriac.cli.output import emit, note, table
from celeriac.cli.rooms import rooms

if TYPE_CHECKING:
    from celeriac.tenants.plans import Plan


@click.group(
    cls=Group,
    example="celeriac plans set small --set running=5 --set cost_usd_per_day=10",
    short_help="Make and change plans: named sets of limits.",
)
def plans() -> None:
    """Make, list, change and remove plans, the named sets of limits that tenants may have."""


@plans.command("ls", example="celeriac plans ls")
@json_option
def ls(as_json: bool) -> None:
    """List all plans."""
    found = rooms().plans.list()
    if as_json:
        emit({"data": [_plan_json(plan) for plan in found]})
    elif found:
        click.echo(table(("plan", "tenants", "limits"), [_row(plan) for plan in found]))
    else:
        note("There are no plans yet; `celeriac plans set NAME --set name=value` makes one.")


@plans.command("set", example="celeriac plans set small --set running=5 --set cost_usd_per_day=10")
@click.argument("name")
@limit_options
@unset_option
@json_option
def set_plan(name: str, given: tuple[str, ...], unset: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Make a plan, or set some of its limits; all tenants that have it have them within a second."""
    plan = rooms().plans.set(name, read_given(given, options), unset=unset, actor=who())
    if as_json:
        emit(_plan_json(plan))
    else:
        click.echo(table(("plan", "tenants", "limits"), [_row(plan)]))


@plans.command("rm", example="celeriac plans rm small")
@click.argument("name")
@json_option
def rm(name: str, as_json: bool) -> None:
    """Remove a plan that no tenant has."""
    rooms().plans.remove(name, actor=who())
    if as_json:
        emit({"name": name, "removed": True})
    else:
        note(f"The plan {name} is removed.")


def _plan_json(plan: Plan) -> dict[str, Any]:
    from celeriac.web.api.answers import moment

    created_at = moment(plan.created_at)
    return {"name": plan.name, "limits": dict(plan.limits), "tenants": plan.tenants, "created_at": created_at}


def _row(plan: Plan) -> tuple[str, ...]:
    limits = ", ".join(f"{name}={shown(value)}" for name, value in plan.limits.items())
    return (plan.name, str(plan.tenants), limits or "the defaults")
