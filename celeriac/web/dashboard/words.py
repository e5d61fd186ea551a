"""Words: how the dashboard writes times, durations, figures and JSON. Filters for the templates, pure functions all.

Everything that comes from runs is hostile here: what returns `Markup` has escaped each piece of it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from flask import Flask
from markupsafe import Markup, escape

from celeriac.web.auth import csrf_token, may
from celeriac.web.limit_words import limits_in_words

#: a value longer than this is cut in a page; the raw view has all of it
MOST_CHARACTERS = 20_000

#: what all values of a page's steps may take together, each its input and output, and what each of them may in any case
_PAGE_CHARACTERS, _LEAST_CHARACTERS = 600_000, 400

#: what is no count of anything
_MOST_COUNTED = 10**18

#: what people call the states
STATUSES = {
    "queued": "Queued",
    "running": "Running",
    "parked": "Waiting",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "skipped": "Skipped",
    "waiting": "Waiting",
    "retrying": "Retrying",
    "open": "Running",
    "aborted": "Aborted",
}

_JSON_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d[\d.eE+-]*)')


def register(app: Flask) -> None:
    """Make the words known to the templates."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        when=when,
        limits=limits_in_words,
        span=span,
        money=money,
        figure=figure,
        pretty=pretty,
        line=line,
        status=status,
        clip=clip,
        bytes=size,
    )
    app.jinja_env.globals.update(csrf_token=csrf_token, may=may)


def status(name: str) -> str:
    """Return what people call the state."""
    return STATUSES.get(name, name)


def when(at: datetime | None) -> Markup:
    """Write a time; the page's script turns it into the reader's own."""
    if at is None:
        return Markup("–")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        utc.isoformat(timespec="milliseconds"), f"{utc:%Y-%m-%d %H:%M:%S}", f"{utc:%b %d, %H:%M:%S}"
    )


def span(length: timedelta | None) -> str:
    """Write a duration in at most two units."""
    if length is None:
        return "–"
    seconds = max(0.0, length.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 or seconds == 0 else "< 1 ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def money(dollars: object) -> str:
    """Write US dollars with as many places as the amount needs; a dash for nothing, and for what is no number."""
    if not _is_number(dollars) or not dollars:
        return "–"
    return f"${dollars:.2f}" if dollars >= 0.1 else f"${dollars:.4f}"


def figure(number: object) -> str:
    """Write a count with separators; a dash for nothing, and for what is no number."""
    return f"{number:,}" if _is_number(number) and number else "–"


def size(number: int | None) -> str:
    """Write a number of bytes; a dash for none."""
    if not number:
        return "–"
    amount, unit = float(number), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}" if amount < 999.5 else f"{amount:,.0f} {unit}"


def clip(text: Any, most: int = 160) -> str:
    """Shorten a text to one line."""
    flat = " ".join(str(text).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def line(value: Any, most: int = 160) -> str:
    """Write a value on one line: a text as it stands, everything else as JSON."""
    return clip(value if isinstance(value, str) else _dump(value, indent=None), most)


def room_for(rows: int) -> int:
    """Return how many characters each value of a page of so many steps may take, so that the page can be looked at."""
    return min(MOST_CHARACTERS, max(_LEAST_CHARACTERS, _PAGE_CHARACTERS // max(1, 2 * rows)))


def pretty(value: Any, most: int | None = None) -> Markup:
    """Write a value as indented JSON with its tokens marked for colour; one that has more characters is cut."""
    text, most = _dump(value, indent=2), most or MOST_CHARACTERS
    cut = len(text) - most
    if cut > 0:
        return Markup('<span class="cut">{} more characters in the raw view</span>\n{}').format(f"{cut:,}", text[:most])
    pieces: list[str] = []
    at = 0
    for token in _JSON_TOKEN.finditer(text):
        pieces.append(escape(text[at : token.start()]))
        pieces.append(_coloured(token))
        at = token.end()
    pieces.append(escape(text[at:]))
    return Markup("".join(pieces))


def _is_number(value: object) -> TypeGuard[int | float]:
    """Say whether it is one that can be written; counts and costs come from runs too."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST_COUNTED


def _coloured(token: re.Match[str]) -> str:
    string, colon, word, number = token.groups()
    if string is None:
        return f'<i class="{"word" if word else "number"}">{escape(word or number)}</i>'
    return f'<i class="{"key" if colon else "string"}">{escape(string)}</i>{colon or ""}'


def _dump(value: Any, *, indent: int | None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent)
    except RecursionError:
        return "(nested too deeply to show)"
