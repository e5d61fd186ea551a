"""`celeriac functions`: list what the fleet has declared, and pause it for a tenant."""

from __future__ import annotations

import click

from celeriac.cli.command import Group, json_option, tenant_option
from celeriac.cli.output import ago, emit, note, table
from celeriac.cli.rooms import rooms_for, write_down


@click.group(cls=Group, example="celeriac functions ls --tenant ten_01J…", short_help="List and pause functions.")
def functions() -> None:
    """List what the fleet has declared, and pause it for a tenant."""


@functions.command("ls", example="celeriac functions ls --tenant ten_01J…")
@tenant_option
@json_option
def ls(tenant: str, as_json: bool) -> None:
    """List the functions that events may start, by name."""
    from celeriac.web.api.answers import function_json
    from celeriac.web.limit_words import limits_in_words

    found = rooms_for(tenant).reads.declared(tenant)
    if as_json:
        emit({"data": [function_json(one) for one in found]})
    elif found:
        headers = ("function", "state", "queue", "version", "declared", "triggers", "limits")
        rows = [
            (
                one.name,
                "paused" if one.is_paused else "active",
                one.queue,
                one.version or "–",
                ago(one.seen_at),
                ", ".join((*one.triggers, *(f"cron {cron}" for cron in one.crons))),
                "; ".join(limits_in_words(one.rules)) or "–",
            )
            for one in found
        ]
        click.echo(table(headers, rows))
    else:
        note("No function is declared yet; a worker declares its app's when it starts.")


@functions.command("pause", example="celeriac functions pause shop/ship --tenant ten_01J…")
@click.argument("function", metavar="APP/ID")
@tenant_option
@json_option
def pause(function: str, tenant: str, as_json: bool) -> None:
    """Let events start no runs of a function; they are recorded as skipped. Runs that have begun go on."""
    _pause(function, tenant, is_paused=True, as_json=as_json)


@functions.command("resume", example="celeriac functions resume shop/ship --tenant ten_01J…")
@click.argument("function", metavar="APP/ID")
@tenant_option
@json_option
def resume(function: str, tenant: str, as_json: bool) -> None:
    """Let events start runs of a function again; `celeriac bulk rerun --status skipped` does what it has missed."""
    _pause(function, tenant, is_paused=False, as_json=as_json)


def _pause(function: str, tenant: str, *, is_paused: bool, as_json: bool) -> None:
    from celeriac.web.api.answers import function_json

    app, _, function_id = function.partition("/")
    if not function_id:
        raise click.UsageError(f"{function!r} names no function; write APP/ID, as `celeriac functions ls` shows it.")
    paused = rooms_for(tenant).operator.pause(tenant, app, function_id, is_paused=is_paused)
    write_down(tenant, "function.paused" if is_paused else "function.resumed", paused.name)
    if as_json:
        emit(function_json(paused))
    else:
        click.echo(f"{paused.name} is {'paused' if paused.is_paused else 'active'}")
