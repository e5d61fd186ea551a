"""`celeriac usage`: what tenants have used, as a table, JSON or CSV; `celeriac tenants usage` is the same of one."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Command, F, json_option, tenant_argument
from celeriac.cli.output import dim, emit, note, table
from celeriac.cli.rooms import rooms, rooms_for
from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from celeriac.platform.durable.usage import UsageRow
    from celeriac.web.usage import UsageWish


class Day(click.ParamType[date]):
    """A day in UTC, like 2026-01-31."""

    name = "DAY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a date."""
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write it like 2026-01-31")


def usage_options(command: F) -> F:
    """Give the command the options by which it says what is meant and how it is printed."""
    command = click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")(json_option(command))
    for name, kind, text in (
        ("--by", click.STRING, "What rows are told apart by: some of day,function,model, or total."),
        ("--until", Day(), "The last day, which is included; today by default."),
        ("--since", Day(), "The first day, in UTC; by default the first of the last one's month."),
    ):
        command = click.option(name, type=kind, help=text)(command)
    return command


@click.command("usage", cls=Command, example="celeriac usage --all --by model --since 2026-01-01")
@click.argument("tenant", required=False)
@click.option("--all", "of_all", is_flag=True, help="All tenants, told apart.")
@usage_options
def usage(tenant: str | None, of_all: bool, **given: Any) -> None:
    """Tell what a tenant has used, or all of them: this month by day, function and model."""
    from celeriac.settings import load_settings

    tenant = tenant or (None if of_all else load_settings().default_tenant)
    if of_all == (tenant is not None):
        raise click.UsageError("Say whose: celeriac usage TENANT, or --all. `celeriac tenants ls` shows them all.")
    _tell(tenant, **given)


@click.command("usage", cls=Command, example="celeriac tenants usage ten_01J… --by day --csv")
@tenant_argument
@usage_options
def usage_of_tenant(tenant_id: str, **given: Any) -> None:
    """Tell what a tenant (or CELERIAC_DEFAULT_TENANT) has used: this month by day, function and model."""
    _tell(tenant_id, **given)


def _tell(
    tenant_id: str | None, *, since: date | None, until: date | None, by: str | None, as_json: bool, as_csv: bool
) -> None:
    from celeriac.web.usage import usage_csv, usage_json, usage_wish

    usages = (rooms() if tenant_id is None else rooms_for(tenant_id)).usages
    try:
        wish = usage_wish(usages.today, since=since, until=until, by=by, of_all=tenant_id is None)
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    rows = usages.usage(tenant_id, wish.since, wish.until, wish.by)
    if as_json:
        emit(usage_json(wish, rows))
    elif as_csv:
        click.echo(usage_csv(wish, rows), nl=False)
    elif rows:
        click.echo(_table(wish, rows))
    else:
        note(f"Nothing was used from {wish.since} to {wish.until}.")


def _table(wish: UsageWish, rows: list[UsageRow]) -> str:
    from celeriac.web.usage import total_of

    figures = ("runs", "links", "steps", "model calls", "tool calls", "tokens in", "cached", "out", "stored", "cost")
    lines = [(*_keys(wish, row), *_figures(row)) for row in rows]
    if len(rows) > 1:
        total = ("total", *[""] * (len(wish.by) - 1), *_figures(total_of(rows)))
        lines.append(tuple(dim(cell) for cell in total))
    return table((*wish.by, *figures), lines)


def _keys(wish: UsageWish, row: UsageRow) -> list[str]:
    known = {"tenant": row.tenant_id, "day": row.day, "function": row.function, "model": row.model}
    return [str(known[key] or "–") for key in wish.by]


def _figures(row: UsageRow) -> tuple[str, ...]:
    from celeriac.web.dashboard.words import figure, money, size

    counts = (row.runs, row.links, row.steps, row.model_calls, row.tool_calls)
    tokens = (row.input_tokens, row.cached_tokens, row.output_tokens)
    return (*map(figure, (*counts, *tokens)), size(row.bytes), money(row.cost_usd))
