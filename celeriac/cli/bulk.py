"""`celeriac bulk`: cancel many runs, or do them again; the workers carry it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Group, json_option, tenant_option
from celeriac.cli.output import ago, emit, note, sign, table
from celeriac.cli.rooms import rooms_for, write_down
from celeriac.cli.run_filter import confirmed, filter_of, filter_options
from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from celeriac.platform.durable.bulk import BulkAction, BulkKind


@click.group(
    cls=Group,
    example="celeriac bulk cancel --tenant ten_01J… --function shop/ship --status queued",
    short_help="Cancel many runs, or do them again.",
)
def bulk() -> None:
    """Cancel many runs, or do them again, by a filter. The workers carry it out, page by page."""


def _options(command: Any) -> Any:
    for decorate in (
        json_option,
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Only count the runs."),
        filter_options,
        tenant_option,
    ):
        command = decorate(command)
    return command


@bulk.command("cancel", example="celeriac bulk cancel --tenant ten_01J… --function shop/ship --after 2h --dry-run")
@_options
def cancel(**given: Any) -> None:
    """Cancel the runs that have not ended. Those that execute end at their worker's next heartbeat."""
    _begin("cancel", given)


@bulk.command("rerun", example="celeriac bulk rerun --tenant ten_01J… --status failed --after 2026-01-31 --before 2h")
@_options
def rerun(**given: Any) -> None:
    """Do ended runs again, each once, as new runs of the same events."""
    _begin("rerun", given)


@bulk.command("ls", example="celeriac bulk ls --tenant ten_01J…")
@tenant_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--before", metavar="ID", help="Only actions that are older than this one.")
@json_option
def ls(tenant: str, limit: int, before: str | None, as_json: bool) -> None:
    """List bulk actions, newest first."""
    from celeriac.web.api.answers import action_json

    operations = rooms_for(tenant).operations
    last = None if before is None else operations.action(tenant, before).place
    found = operations.actions(tenant, limit=limit, before=last)
    if as_json:
        emit({"data": [action_json(action) for action in found]})
    elif found:
        click.echo(_table(found))
    else:
        note("There are no such actions.")


@bulk.command("get", example="celeriac bulk get blk_01J… --tenant ten_01J…")
@click.argument("action_id")
@tenant_option
@json_option
def get(action_id: str, tenant: str, as_json: bool) -> None:
    """Show how far an action has come."""
    _show(rooms_for(tenant).operations.action(tenant, action_id), as_json=as_json)


@bulk.command("abort", example="celeriac bulk abort blk_01J… --tenant ten_01J…")
@click.argument("action_id")
@tenant_option
@json_option
def abort(action_id: str, tenant: str, as_json: bool) -> None:
    """Let an action go no further; what is done stays done."""
    aborted = rooms_for(tenant).operations.abort(tenant, action_id)
    write_down(tenant, "bulk.aborted", action_id)
    _show(aborted, as_json=as_json)


def _begin(kind: BulkKind, given: dict[str, Any]) -> None:
    tenant, where = given["tenant"], filter_of(given)
    operator = rooms_for(tenant).operator
    try:
        count = operator.count(tenant, kind, where)
        if given["dry_run"]:
            _tell_count(kind, count.total, is_exact=count.is_exact, as_json=given["as_json"])
            return
        confirmed(f"{_verb(kind)} {_number(count.total, count.is_exact)} runs?", is_yes=given["yes"])
        action = operator.begin(tenant, kind, where)
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    write_down(tenant, f"bulk.{kind}", action.id)
    _show(action, as_json=given["as_json"])
    note(f"The workers carry it out: celeriac bulk get {action.id} --tenant {tenant}")


def _tell_count(kind: BulkKind, total: int, *, is_exact: bool, as_json: bool) -> None:
    if as_json:
        emit({"total": total, "is_exact": is_exact})
    else:
        click.echo(f"{_verb(kind)}: {_number(total, is_exact)} runs")


def _verb(kind: BulkKind) -> str:
    return "Cancel" if kind == "cancel" else "Do again"


def _number(total: int, is_exact: bool) -> str:
    return f"{total:,}" if is_exact else f"about {total:,}"


def _show(action: BulkAction, *, as_json: bool) -> None:
    from celeriac.web.api.answers import action_json

    if as_json:
        emit(action_json(action))
    else:
        click.echo(_table([action]))


def _table(actions: list[BulkAction]) -> str:
    headers = ("action", "kind", "status", "seen", "changed", "of", "begun", "filter")
    return table(headers, [_row(action) for action in actions])


def _row(action: BulkAction) -> tuple[str, ...]:
    from celeriac.web.api.answers import action_json

    given = " ".join(f"{name}={value}" for name, value in action_json(action)["filter"].items())
    counts = (f"{number:,}" for number in (action.seen, action.changed, action.total))
    return (action.id, action.kind, sign(action.status, with_name=True), *counts, ago(action.created_at), given)
