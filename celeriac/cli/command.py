"""The shape of our commands: help that begins with an example, `--json`, `--tenant` and `--debug`.

Every file of a command declares itself with these. Nothing here knows what a command does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

#: what a process tells the shell: what it ran failed in itself, ran out of time, or was interrupted
RUN_FAILED, TIMED_OUT, INTERRUPTED = 3, 4, 130


class Command(click.Command):
    """A command whose help begins with an example of its use."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        """Take the example as one would type it."""
        super().__init__(*args, **kwargs)
        self.example = example
        self.params.append(_debug_option())

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, then what click writes."""
        formatter.write(f"  $ {self.example}\n\n")
        super().format_help(ctx, formatter)


class Group(click.Group):
    """A command with commands below it."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        """Take the example as one would type it."""
        super().__init__(*args, **kwargs)
        self.example = example
        self.params.append(_debug_option())

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, then what click writes."""
        formatter.write(f"  $ {self.example}\n\n")
        super().format_help(ctx, formatter)


def json_option(command: F) -> F:
    """Give the command `--json`, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def tenant_option(command: F) -> F:
    """Give the command `--tenant`, which may come from the deployment's default."""
    return click.option(
        "--tenant",
        metavar="ID",
        callback=_known_tenant,
        help="The tenant to act for (or CELERIAC_DEFAULT_TENANT); `celeriac tenants ls` shows them all.",
    )(command)


def tenant_argument(command: F) -> F:
    """Give the command the argument TENANT_ID, which may be left out for the deployment's default."""
    return click.argument("tenant_id", required=False, callback=_known_tenant)(command)


def _known_tenant(_: click.Context, parameter: click.Parameter, given: str | None) -> str:
    from celeriac.settings import load_settings

    tenant_id = given or load_settings().default_tenant
    if tenant_id is None:
        said = "--tenant ID" if isinstance(parameter, click.Option) else "TENANT_ID"
        raise click.UsageError(
            f"Say for which tenant: {said}, or set CELERIAC_DEFAULT_TENANT. `celeriac tenants ls` shows them all."
        )
    return tenant_id


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=_note_debug, help="Show where an error came from."
    )


def _note_debug(ctx: click.Context, _: click.Parameter, is_given: bool) -> None:
    if is_given:
        ctx.ensure_object(dict)["debug"] = True
