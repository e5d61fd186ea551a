"""Limits on the command line: how they are given and shown, for tenants and for plans."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any

import click

from celeriac.cli.command import F

#: what each limit is for, in the order in which they are shown
TEXTS = {
    "running": "links that may run at the same time",
    "starts_per_second": "runs that may start each second",
    "starts_burst": "run starts that may be saved up",
    "weight": "share of the fleet beside other tenants who wait",
    "retention_days": "days that ended runs and their events are kept; 0: for ever",
    "queued_runs": "most runs that may be queued",
    "event_bytes": "largest event, in bytes of JSON",
    "api_requests_per_second": "requests to the API each second",
    "api_burst": "requests that may be saved up",
    "model_requests_per_minute": "calls of models a minute, of each provider",
    "model_tokens_per_minute": "tokens a minute, of each provider",
    "cost_usd_per_day": "what models may cost in a day of UTC, in US dollars",
    "cost_usd_per_month": "what models may cost in a month of UTC, in US dollars",
    "threads": "most conversations that are kept",
    "memories": "most memories that are kept",
    "may_use_operator_keys": "whether models may be called with the installation's keys",
    "must_sign_events": "whether events that come by an event key must be signed",
}

#: those that have an option of their own
_OPTIONS: list[tuple[str, Any]] = [
    ("running", click.IntRange(min=1)),
    ("starts_per_second", click.FloatRange(min=0, min_open=True)),
    ("starts_burst", click.IntRange(min=1)),
    ("retention_days", click.IntRange(min=0)),
]


def limit_options(command: F) -> F:
    """Give the command `--set`, and an option of its own for each of the most used limits."""
    for name, kind in reversed(_OPTIONS):
        text = f"{TEXTS[name][0].upper()}{TEXTS[name][1:]}."
        command = click.option(f"--{name.replace('_', '-')}", name, type=kind, metavar="N", help=text)(command)
    return click.option(
        "--set",
        "given",
        multiple=True,
        metavar="NAME=VALUE",
        help="Set any limit; `none` for no limit. May be given more than once.",
    )(command)


def unset_option(command: F) -> F:
    """Give the command `--unset`."""
    text = "Take the limit away again, so that the next one below it holds."
    return click.option("--unset", multiple=True, metavar="NAME", help=text)(command)


def read_given(given: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits that were given; raise `UsageError` for one that cannot be read."""
    limits = {name: value for name, value in options.items() if value is not None}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise click.UsageError(f"{text!r} is no limit; write it as name=value, like running=20")
        limits[name.strip().replace("-", "_")] = value.strip()
    return limits


def shown(value: Any) -> str:
    """Write a limit for people."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case _:
            return f"{value:,.15g}"


def who() -> str:
    """Return who changes limits by the command line, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a container may run as a user that nobody knows
        return "cli:unknown"
