"""`celeriac runs`: list a tenant's runs, look at one, cancel it, do it again, and delete old ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from celeriac.cli.command import Group, json_option, tenant_option
from celeriac.cli.output import emit, note
from celeriac.cli.rooms import login, rooms, rooms_for, write_down
from celeriac.cli.run_filter import Moment, confirmed, filter_of, filter_options, json_given
from celeriac.errors import CeleriacError, ConfigError


@click.group(cls=Group, example="celeriac runs ls --tenant ten_01J… --status failed")
def runs() -> None:
    """List a tenant's runs, look at one, cancel it, do it again, delete old ones."""


@runs.command("ls", example="celeriac runs ls --tenant ten_01J… --status failed --after 2h")
@tenant_option
@filter_options
@click.option("--event", metavar="ID", help="Only runs that this event started.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--cursor", help="Go on where another page ended (`next_cursor`).")
@json_option
def ls(tenant: str, limit: int, cursor: str | None, as_json: bool, **given: Any) -> None:
    """List runs, newest first."""
    from celeriac.cli.run_text import runs_table
    from celeriac.web.api.answers import page_json

    wanted = filter_of(given, event_id=given["event"])
    reads = rooms_for(tenant).reads
    try:
        page = reads.runs(tenant, wanted, limit=limit, cursor=cursor)
    except ValueError as error:
        raise click.UsageError("--cursor is none that a page ended with.") from error
    if as_json:
        emit(page_json(page, limit))
        return
    if page.runs:
        click.echo(runs_table(page.runs))
    else:
        note("There are no such runs.")
    if page.next_cursor:
        note(f"There are more: --cursor {page.next_cursor}")


@runs.command("get", example="celeriac runs get run_01J… --tenant ten_01J…")
@click.argument("run_id")
@tenant_option
@json_option
def get(run_id: str, tenant: str, as_json: bool) -> None:
    """Show a run with its steps."""
    from celeriac.cli.run_text import run_page
    from celeriac.platform.durable.holdups import view_with_holdup
    from celeriac.web.api.answers import view_json

    rooms = rooms_for(tenant)
    is_paused = rooms.tenants.is_paused(tenant)
    view = view_with_holdup(rooms.reads, rooms.gate, tenant, run_id, is_paused=is_paused)
    if as_json:
        emit(view_json(view))
    else:
        click.echo(run_page(view))


@runs.command("cancel", example="celeriac runs cancel run_01J… --tenant ten_01J…")
@click.argument("run_id")
@tenant_option
@json_option
def cancel(run_id: str, tenant: str, as_json: bool) -> None:
    """Ask a run to end; one that is executing is aborted at its worker's next heartbeat."""
    from celeriac.platform.durable.cancelling import cancel as cancel_run
    from celeriac.web.api.answers import run_json

    rooms = rooms_for(tenant)
    run = rooms.reads.run(tenant, run_id)
    if not run.is_final:
        run = cancel_run(rooms.store, rooms.gate, tenant, run_id)
        write_down(tenant, "run.cancelled", run_id)
    if run.is_final and run.status != "cancelled":
        raise CeleriacError(f"Run {run_id!r} has ended already: it is {run.status}", code="run_already_ended")
    if as_json:
        emit(run_json(run))
    else:
        click.echo(f"{run.id} {'is cancelled' if run.is_final else 'will end at the next heartbeat of its worker'}")


@runs.command("rerun", example="celeriac runs rerun run_01J… --from ship --input '[\"o7\"]' --tenant ten_01J…")
@click.argument("run_id")
@click.option("--from", "from_step", metavar="PATH", help="The step to begin with; earlier ones are kept.")
@click.option("--input", "given", metavar="JSON", help="What replaces the input of that step: a list of its arguments.")
@tenant_option
@json_option
def rerun(run_id: str, from_step: str | None, given: str | None, tenant: str, as_json: bool) -> None:
    """Do an ended run again as a new run of the same event; prints the new run's id."""
    from celeriac.platform.durable.rerun import Wish
    from celeriac.web.api.answers import run_json

    edited = None if given is None else json_given(given, "--input")
    try:
        wish = Wish(from_step=from_step, input=edited)
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    run = rooms_for(tenant).operator.rerun(tenant, run_id, wish)
    write_down(tenant, "run.rerun", run_id)
    if as_json:
        emit(run_json(run))
    else:
        click.echo(run.id)


@runs.command("resume", example="celeriac runs resume run_01J… --tenant ten_01J…")
@click.argument("run_id")
@tenant_option
@json_option
def resume(run_id: str, tenant: str, as_json: bool) -> None:
    """Let a run go on that stands still because its code meets other steps than it remembers."""
    from celeriac.web.api.answers import run_json

    run = rooms_for(tenant).operator.resume(tenant, run_id)
    write_down(tenant, "run.resumed", run_id)
    if as_json:
        emit(run_json(run))
    else:
        click.echo(f"{run.id} goes on")


@runs.command("approve", example="celeriac runs approve run_01J… apr_01J… --deny --reason 'Too much' --tenant ten_01J…")
@click.argument("run_id")
@click.argument("call_id", metavar="CALL")
@click.option("--deny", is_flag=True, help="Do not let the tool run.")
@click.option("--reason", help="What the model is told of a denial.")
@tenant_option
@json_option
def approve(run_id: str, call_id: str, *, deny: bool, reason: str | None, tenant: str, as_json: bool) -> None:
    """Let a tool run that waits for a person, or deny it.

    CALL is the step that `runs get` names, the id of the request, or the provider's id of the call.
    """
    from celeriac.platform.approval import Decision

    decision = Decision(approved=not deny, reason=reason, by=login())
    decided = rooms_for(tenant).operator.decide(tenant, run_id, call_id, decision)
    write_down(tenant, "run.denied" if deny else "run.approved", run_id, decided.detail)
    if as_json:
        emit({"run_id": run_id, "call_id": call_id, "approved": not deny})
    else:
        click.echo(f"{call_id} is {'denied' if deny else 'approved'}; {run_id} goes on")


@runs.command("purge", example="celeriac runs purge --before 2026-01-31 --dry-run")
@click.option("--before", type=Moment(), required=True, help="Delete runs that ended before; 90d: ninety days ago.")
@click.option("--tenant", metavar="ID", help="Only this tenant's; those of all where it is left out.")
@click.option("--dry-run", is_flag=True, help="Only count the runs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def purge(before: datetime, tenant: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete ended runs for good, with their steps, and the events that no run refers to any more."""
    if before > datetime.now(UTC):
        raise click.UsageError("--before lies in the future; runs that have not ended yet cannot be deleted.")
    tenants = (
        [one.id for one in rooms().tenants.list()] if tenant is None else [rooms_for(tenant).tenants.get(tenant).id]
    )
    operations = rooms().upkeep
    total = sum(operations.count_ended(one, before) for one in tenants)
    if not dry_run:
        confirmed(f"Delete {total:,} runs for good?", is_yes=yes)
        total = _purge(tenants, before)
    if as_json:
        emit({"runs": total, "is_dry_run": dry_run})
    else:
        click.echo(f"{total:,} runs {'would be' if dry_run else 'were'} deleted")


def _purge(tenants: list[str], before: datetime) -> int:
    """Delete batch by batch; return how many runs went."""
    from celeriac.platform.durable.retention import batches

    operations, rows, total = rooms().upkeep, 0, 0
    for tenant in tenants:
        left = operations.count_ended(tenant, before)
        for deleted in batches(operations, tenant, before):
            rows += deleted
        total += left - operations.count_ended(tenant, before)
    note(f"{rows:,} rows of runs and events were deleted.")
    return total
