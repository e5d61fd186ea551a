"""`celeriac signal`: a signal from the shell, to the run that waits for it."""

from __future__ import annotations

import click

from celeriac.cli.command import Command, json_option, tenant_option
from celeriac.cli.output import emit
from celeriac.cli.rooms import rooms_for
from celeriac.cli.run_filter import json_given
from celeriac.errors import NotFoundError


@click.command(
    cls=Command,
    example='celeriac signal approved:o7 \'{"by": "Ada"}\' --tenant ten_01J…',
    short_help="Give a signal to the run that waits for it.",
)
@click.argument("name")
@click.argument("data", default="null")
@tenant_option
@json_option
def signal(name: str, data: str, tenant: str, as_json: bool) -> None:
    """Give the signal NAME with DATA, any JSON or `-` for standard input, to the run that waits for it."""
    given = json_given(data, "DATA")
    signalled = rooms_for(tenant).operator.signal(tenant, name, given)
    if not signalled.is_awaited:
        raise NotFoundError(f"No run waits for the signal {name!r}")
    if as_json:
        emit({"run_id": signalled.run_id})
    else:
        click.echo(f"The signal was taken by {signalled.run_id}")
