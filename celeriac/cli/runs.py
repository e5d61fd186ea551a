"""`celeriac runs`: list a tenant's runs, look at one, cancel one."""

from __future__ import annotations

from typing import get_args

import click

from celeriac.cli.command import Group, json_option, tenant_option
from celeriac.cli.output import emit, note
from celeriac.cli.rooms import rooms_for
from celeriac.errors import CeleriacError
from celeriac.platform.run import Status


@click.group(cls=Group, example="celeriac runs ls --tenant ten_01J… --status failed")
def runs() -> None:
    """List a tenant's runs, look at one, cancel one."""


@runs.command("ls", example="celeriac runs ls --tenant ten_01J… --status failed")
@tenant_option
@click.option("--status", type=click.Choice(get_args(Status)), help="Only runs in this state.")
@click.option("--function", metavar="ID", help="Only runs of this function.")
@click.option("--event", metavar="ID", help="Only runs that this event started.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--cursor", help="Go on where another page ended (`next_cursor`).")
@json_option
def ls(tenant: str, limit: int, cursor: str | None, as_json: bool, **where: str | None) -> None:
    """List runs, newest first."""
    from celeriac.cli.run_text import runs_table
    from celeriac.platform.durable.run_filter import RunFilter
    from celeriac.web.api.answers import page_json

    wanted = RunFilter(
        status=where["status"],  # type: ignore[arg-type]  # click has checked it
        function_id=(where["function"] or "").rpartition("/")[2] or None,  # the table shows it behind its app
        event_id=where["event"],
    )
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
    from celeriac.web.api.answers import view_json

    view = rooms_for(tenant).reads.view(tenant, run_id)
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
    if run.is_final and run.status != "cancelled":
        raise CeleriacError(f"Run {run_id!r} has ended already: it is {run.status}", code="run_already_ended")
    if as_json:
        emit(run_json(run))
    else:
        click.echo(f"{run.id} {'is cancelled' if run.is_final else 'will end at the next heartbeat of its worker'}")
