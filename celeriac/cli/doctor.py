"""`celeriac doctor`: the settings in force, the versions, and a try of every connection, each with what to do.

It changes nothing. The checks themselves stand in `checks.py`; here they are put in order and printed.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.command import Command, json_option
from celeriac.cli.output import dim, emit, sign, table

if TYPE_CHECKING:
    from celeriac.cli.wall_checks import Check
    from celeriac.settings import Settings

_PACKAGES = ("celeriac", "celery", "kombu", "redis", "sqlalchemy", "flask", "openai", "anthropic", "mem0ai", "psycopg")


@click.command(
    cls=Command, example="celeriac doctor", short_help="Show the settings in force and try every connection."
)
@json_option
def doctor(as_json: bool) -> int:
    """Show the settings in force and try every connection; exit 1 when something is broken."""
    from celeriac.cli.checks import all_checks
    from celeriac.settings import load_settings

    settings = load_settings()
    checks = all_checks(settings)
    is_ok = not any(check.status == "broken" for check in checks)
    if as_json:
        shown = [{"name": name, "value": value, "source": source} for name, value, source in settings_rows(settings)]
        emit({"ok": is_ok, "checks": [asdict(check) for check in checks], "settings": shown, "versions": _versions()})
    else:
        _print(settings, checks)
    return 0 if is_ok else 1


def settings_rows(settings: Settings) -> list[tuple[str, Any, str]]:
    """Return each setting with its value, secrets masked, and where the value came from."""
    return [(name, _masked(field, getattr(settings, field)), _source(name)) for field, name in _names(settings)]


def _names(settings: Settings) -> list[tuple[str, str]]:
    return [(field, f"CELERIAC_{field.upper()}") for field in type(settings).model_fields]


def _source(name: str) -> str:
    if name.lower() in {key.lower() for key in os.environ}:
        return "environment"
    from dotenv import dotenv_values  # what pydantic-settings reads .env with

    is_in_file = Path(".env").is_file() and name.lower() in {key.lower() for key in dotenv_values(".env")}
    return ".env" if is_in_file else "default"


def _masked(field: str, value: Any) -> Any:
    if field == "secret_key":
        return f"set, {len(value)} characters" if value else None
    if field == "encryption_keys":
        return f"set, {len(value.split(','))} of them" if value else None
    return masked_url(value) if field.endswith("_url") and value else value


def masked_url(url: str) -> str:
    """Return the URL without its password; parameters, which may hold one too, are left out."""
    head, at, tail = url.partition("?")[0].rpartition("@")
    scheme, separator, rest = head.partition("://")
    user, colon, _ = rest.partition(":")
    return f"{scheme}{separator}{user}{colon}{'***' if colon else ''}{at}{tail}" if at else tail


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _print(settings: Settings, checks: list[Check]) -> None:
    click.echo(" · ".join(f"{name} {number}" for name, number in _versions().items()))
    click.echo()
    rows = [(name, source, "–" if value is None else str(value)) for name, value, source in settings_rows(settings)]
    click.echo(table(("setting", "from", "value"), [_highlighted(row) for row in rows]))
    click.echo()
    width = max(len(check.name) for check in checks)
    for check in checks:
        click.echo(f"{sign(check.status)} {check.name:<{width}}  {check.detail}")
        if check.what_to_do:
            click.echo(f"  {'':<{width}}  {click.style('→', fg='yellow')} {check.what_to_do}")


def _highlighted(row: tuple[str, str, str]) -> tuple[str, ...]:
    return tuple(dim(cell) for cell in row) if row[1] == "default" else row
