"""Output: how commands print. Data goes to stdout, chatter to stderr; colours vanish where nobody sees them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_GAP = "  "

#: sign and colour of each state of a run, a step or a check
SIGNS: dict[str, tuple[str, str]] = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("⊘", "yellow"),
    "aborted": ("⊘", "yellow"),
    "skipped": ("⊘", "yellow"),
    "running": ("●", "cyan"),
    "open": ("●", "cyan"),
    "retrying": ("↻", "yellow"),
    "queued": ("○", "white"),
    "parked": ("◔", "magenta"),
    "waiting": ("◔", "magenta"),
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "broken": ("✗", "red"),
}


def emit(value: Any) -> None:
    """Print one JSON value on one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def note(text: str = "") -> None:
    """Tell the person something; scripts do not read it."""
    click.echo(text, err=True)


def sign(status: str, *, with_name: bool = False) -> str:
    """Return the state's sign in its colour."""
    mark, color = SIGNS.get(status, ("·", "white"))
    return click.style(f"{mark} {status}" if with_name else mark, fg=color)


def dim(text: str) -> str:
    """Return the text as what may be overlooked."""
    return click.style(text, dim=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows below their headers; on a terminal the last column is cut where the line would wrap."""
    widths = [max(len(click.unstyle(cell)) for cell in column) for column in zip(headers, *rows, strict=True)]
    room = shutil.get_terminal_size().columns - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
    lines = [[dim(header.upper()) for header in headers], *rows]
    return "\n".join(_line(line, widths, max(room, 12) if sys.stdout.isatty() else None) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], room: int | None) -> str:
    *heads, last = cells
    padded = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(heads, widths, strict=False)]
    if room is not None and len(click.unstyle(last)) > room:
        last = click.unstyle(last)[: room - 1] + "…"
    return _GAP.join([*padded, last]).rstrip()


def ago(at: datetime | None) -> str:
    """Say how long ago that was."""
    return "–" if at is None else f"{span(datetime.now(UTC) - at)} ago"


def span(length: timedelta | None) -> str:
    """Write a duration as the dashboard does."""
    from celeriac.web.dashboard.words import span as write  # brings Flask with it

    return write(length)
