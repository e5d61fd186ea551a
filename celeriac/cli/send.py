"""`celeriac send`: an event from the shell."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import RUN_FAILED, TIMED_OUT, Command, json_option, tenant_option
from celeriac.cli.output import emit, note
from celeriac.cli.rooms import rooms_for
from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from celeriac.platform.durable.reads import Reads
    from celeriac.platform.run import Run

_LOOK_EVERY_SECONDS = 0.1


@click.command(
    cls=Command,
    example="celeriac send shop/order.placed '{\"order_id\": 7}' --tenant ten_01J… --wait",
    short_help="Send an event.",
)
@click.argument("name")
@click.argument("data", default="{}")
@tenant_option
@click.option("--id", "sender_id", metavar="ID", help="Your own id; a second event with it within 24 h starts nothing.")
@click.option("--wait", is_flag=True, help="Wait for the runs that it starts; exit 3 if one fails.")
@click.option("--timeout", default="5m", show_default=True, help="How long to wait; exit 4 after that.")
@json_option
def send(name: str, data: str, tenant: str, sender_id: str | None, **options: Any) -> int:
    """Send the event NAME with DATA, a JSON object or `-` for standard input; prints the event's id."""
    from celeriac.clock import duration

    event = {"name": name, "data": _parsed(data), "id": sender_id}
    try:
        timeout = duration(options["timeout"])
    except ConfigError as error:
        raise click.UsageError(error.message) from error
    rooms = rooms_for(tenant)
    [accepted] = rooms.intake.accept(tenant, [event])
    if accepted.is_duplicate:
        note(f"An event with the id {sender_id!r} came before; this one starts nothing.")
    if not options["wait"]:
        if options["as_json"]:
            emit({"id": accepted.id, "name": accepted.name, "is_duplicate": accepted.is_duplicate})
        else:
            click.echo(accepted.id)
        return 0
    runs, is_late = _awaited(rooms.reads, tenant, accepted.id, timeout)
    _print_runs(accepted.id, runs, as_json=options["as_json"])
    if is_late:
        note(f"Not all runs ended within {options['timeout']}; `celeriac runs ls` shows how they go on.")
        return TIMED_OUT
    return 0 if all(run.status == "completed" for run in runs) else RUN_FAILED


def _parsed(data: str) -> Any:
    text = sys.stdin.read() if data == "-" else data
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"DATA is not JSON: {error}. Write it like '{{\"order_id\": 7}}', in quotes.") from error


def _awaited(reads: Reads, tenant: str, event_id: str, timeout: timedelta) -> tuple[list[Run], bool]:
    """Return the event's runs when all have ended, or as they stand after the timeout, and whether it was that."""
    deadline = time.monotonic() + timeout.total_seconds()
    while True:
        runs = reads.event_runs(tenant, event_id)
        if all(run.is_final for run in runs):
            return runs, False
        if time.monotonic() >= deadline:
            return runs, True
        time.sleep(_LOOK_EVERY_SECONDS)


def _print_runs(event_id: str, runs: list[Run], *, as_json: bool) -> None:
    from celeriac.cli.run_text import runs_table
    from celeriac.web.api.answers import run_json

    if as_json:
        emit({"id": event_id, "runs": [run_json(run) for run in runs]})
        return
    click.echo(event_id)
    if runs:
        click.echo(runs_table(runs))
    else:
        note("It started no run: no function that a worker has declared is triggered by it.")
