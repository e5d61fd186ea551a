"""Usage as it goes out: which days and keys somebody asks for, and the answer as JSON and as CSV.

The API, the command line and the dashboard share it. It reads nothing but the day that it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, get_args

from celeriac.errors import ConfigError
from celeriac.platform.durable.usage import BY, COUNTS, By, UsageRow

#: what the keys of a row are called
_KEYS: dict[By, str] = {"tenant": "tenant_id", "day": "day", "function": "function", "model": "model"}

#: what rows are told apart by where nobody says
DEFAULT_BY: tuple[By, ...] = ("day", "function", "model")

#: how many days one answer may be about
MOST_DAYS = 366

#: how a text must not begin that a spreadsheet opens, as it would be taken for a formula; the last ones are full-width
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, kw_only=True)
class UsageWish:
    """Which usage is meant."""

    since: date
    until: date
    by: tuple[By, ...] = DEFAULT_BY


def usage_wish(
    today: Callable[[], date], *, since: date | None, until: date | None, by: str | None, of_all: bool = False
) -> UsageWish:
    """Return what is meant: this month so far, by day, function and model, where nothing is said.

    `by` is a list with commas, or `total`. With `of_all` rows are told apart by tenant as well. Raises `ConfigError`.
    """
    keys = keys_named(by)
    last = until or today()
    first = since or last.replace(day=1)
    if first > last:
        raise ConfigError(f"The days end ({last}) before they begin ({first}); `until` is the last day, and included")
    if last - first >= timedelta(days=MOST_DAYS):
        raise ConfigError(f"From {first} to {last} are more than {MOST_DAYS} days; ask for fewer at a time")
    return UsageWish(since=first, until=last, by=("tenant", *keys) if of_all else keys)


def keys_named(by: str | None) -> tuple[By, ...]:
    """Read the list of keys; raise `ConfigError` for one that there is none of."""
    if by is None:
        return DEFAULT_BY
    named = [one.strip() for one in by.split(",")] if by != "total" else []
    for one in named:
        if one not in DEFAULT_BY:
            raise ConfigError(
                f"Usage is not told apart by {one[:50]!r}; write some of {', '.join(DEFAULT_BY)}, or total"
            )
    return tuple(key for key in get_args(By) if key in named)


def usage_json(wish: UsageWish, rows: Sequence[UsageRow]) -> dict[str, Any]:
    """Write the answer."""
    return {
        "since": wish.since.isoformat(),
        "until": wish.until.isoformat(),
        "by": [_KEYS[key] for key in wish.by],
        "data": [row_json(row, wish.by) for row in rows],
        "total": row_json(total_of(rows), ()),
    }


def row_json(row: UsageRow, by: Sequence[By]) -> dict[str, Any]:
    """Write a row with its keys."""
    keys = {_KEYS[key]: getattr(row, _KEYS[key]) for key in BY if key in by}
    if "day" in keys:
        keys["day"] = keys["day"].isoformat()
    return keys | {name: getattr(row, name) for name in COUNTS}


def total_of(rows: Iterable[UsageRow]) -> UsageRow:
    """Return the sum of the rows."""
    sums: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {"cost_usd": 0.0}
    for row in rows:
        for name in COUNTS:
            sums[name] += getattr(row, name)
    return UsageRow(**sums)


def usage_csv(wish: UsageWish, rows: Iterable[UsageRow]) -> str:
    """Write the rows as CSV (RFC 4180) below the names of the columns; no cell of it is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*(_KEYS[key] for key in wish.by), *COUNTS])
    for row in rows:
        writer.writerow([_cell(value) for value in row_json(row, wish.by).values()])
    return out.getvalue()


def csv_name(wish: UsageWish) -> str:
    """Return what a file of it is called."""
    return f"usage_{wish.since}_{wish.until}.csv"


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
