"""The options by which commands say which runs are meant, and the times and JSON that they take."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import click

from celeriac.cli.command import F
from celeriac.errors import ConfigError
from celeriac.platform.run import Status

if TYPE_CHECKING:
    from celeriac.platform.durable.run_filter import RunFilter


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601, of this machine's zone where it names none; or how long ago, like `2h`."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an aware datetime."""
        from celeriac.clock import duration

        if isinstance(value, datetime):
            return value
        try:
            if value[:4].isdigit() and "-" in value:
                return datetime.fromisoformat(value).astimezone(UTC)
            return datetime.now(UTC) - duration(value)
        except (ConfigError, ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago")


def filter_options(command: F) -> F:
    """Give the command the options of a run filter; `filter_of` reads them."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


_OPTIONS = (
    click.option("--status", type=click.Choice(get_args(Status)), help="Only runs in this state."),
    click.option("--function", metavar="ID", help="Only runs of this function: its id, or app/id."),
    click.option("--event-name", metavar="NAME", help="Only runs that an event of this name started."),
    click.option("--after", type=Moment(), help="Only runs created then or later; 2h: two hours ago."),
    click.option("--before", type=Moment(), help="Only runs created before."),
    click.option("--if", "if_", metavar="EXPRESSION", help="Only runs of which this holds, over `event` and `run`."),
)


def filter_of(given: dict[str, Any], **more: Any) -> RunFilter:
    """Return the filter that the options mean; raise `UsageError` for one that says nothing."""
    from celeriac.platform.durable.run_filter import RunFilter, function_named

    try:
        return RunFilter(
            status=given["status"],
            **function_named(given["function"]),
            event_name=given["event_name"],
            created_after=given["after"],
            created_before=given["before"],
            if_=given["if_"],
            **more,
        )
    except ConfigError as error:
        raise click.UsageError(error.message) from error


def json_given(text: str, what: str) -> Any:
    """Return the JSON of an argument, or of standard input for `-`; raise `UsageError` for what is none."""
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise click.UsageError(
            f"{what} is not JSON: {error}. Write it like '{{\"order_id\": 7}}', in quotes."
        ) from error


def confirmed(question: str, *, is_yes: bool) -> None:
    """Ask whoever sits at a terminal, unless `--yes` was given; a script has made up its mind."""
    if not is_yes and sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(question, abort=True, err=True)
