"""The banner of `celeriac dev`: where everything is, and the first thing to try."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.doctor import masked_url
from celeriac.cli.output import dim
from celeriac.cli.sample import sample_event

if TYPE_CHECKING:
    from celeriac.cli.stage import Stage
    from celeriac.platform.app import App

_MOST_FUNCTIONS = 6


@dataclass(frozen=True, kw_only=True)
class Doors:
    """How people get in: a sign-in link for each tenant by its name, and the key for the first event."""

    links: Mapping[str, str]
    event_key: str


def banner(stage: Stage, app: App, doors: Doors) -> str:
    """Return the text that is shown when everything runs."""
    lines = [
        "",
        f"  {click.style('Celeriac', fg='green', bold=True)} {version('celeriac')} {dim('is running')}",
        "",
        _fact("Dashboard", click.style(stage.base_url, bold=True)),
        *(_fact("Sign in", f"{link}  {dim(name)}") for name, link in doors.links.items()),
        _fact("", dim("(each link works once, within ten minutes)")),
        _fact("Functions", _functions(app)),
        _fact("Database", masked_url(stage.settings["CELERIAC_DATABASE_URL"])),
        _fact("Redis", masked_url(stage.settings["CELERIAC_REDIS_URL"])),
        _fact("Logs", f"{_near(stage.data_dir)}/logs"),
        "",
    ]
    event = sample_event(app)
    if event is not None:
        lines += ["  Send the first event:", "", f"    {_curl(stage.base_url, doors.event_key, event)}", ""]
    lines += [
        f"  {dim('In another terminal:')} . {_near(stage.data_dir / 'env')} && {_command()} doctor",
        f"  {dim('Ctrl-C ends everything.')}",
        "",
    ]
    return "\n".join(lines)


def _command() -> str | Path:
    """Return how another terminal calls us: the name, or the path where the name would not be found."""
    beside = Path(sys.executable).parent / "celeriac"
    return "celeriac" if shutil.which("celeriac") or not beside.exists() else _near(beside)


def _fact(name: str, value: str) -> str:
    return f"  {name:<11} {value}"


def _functions(app: App) -> str:
    own: Sequence[str] = [name for name, function in app.functions.items() if not function.options.is_internal]
    more = f", and {len(own) - _MOST_FUNCTIONS} more" if len(own) > _MOST_FUNCTIONS else ""
    return f"{', '.join(own[:_MOST_FUNCTIONS]) or 'none yet'}{more}"


def _curl(base_url: str, event_key: str, event: Mapping[str, Any]) -> str:
    body = shlex.quote(json.dumps(event, ensure_ascii=False))
    return f"curl {base_url}/e/{event_key} -H 'content-type: application/json' -d {body}"


def _near(path: Path) -> Path:
    """Return the path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
