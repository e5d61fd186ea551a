"""The numbers that are asked about: a small table of events, read by SQL that can change nothing.

Stands for a warehouse of your own. A model's SQL is not trusted: the database itself says what a statement would do.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from celeriac import ToolError

#: what happens in the product, and what each kind of event says
SCHEMAS = {
    "app/user.signed-up": "plan",
    "app/user.invited": "by",
    "app/plan.upgraded": "plan",
    "app/payment.failed": "amount",
    "app/report.exported": "format",
}

_ROWS = [
    ("app/user.signed-up", "2026-03-02", "u-1", "free"),
    ("app/user.signed-up", "2026-03-03", "u-2", "free"),
    ("app/user.signed-up", "2026-03-05", "u-3", "pro"),
    ("app/plan.upgraded", "2026-03-06", "u-2", "pro"),
    ("app/payment.failed", "2026-03-06", "u-3", "20"),
    ("app/report.exported", "2026-03-07", "u-1", "csv"),
]

#: what a statement may do
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_MOST_ROWS = 50


def query(sql: str) -> list[dict[str, Any]]:
    """Return the rows of one SELECT over `events(name, day, user_id, detail)`; raise `ToolError` for anything else."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE events (name TEXT, day TEXT, user_id TEXT, detail TEXT)")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", _ROWS)
        connection.set_authorizer(_authorize)
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise ToolError("Only SELECT is allowed")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(_MOST_ROWS)]
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise ToolError(f"Only one SELECT over events(name, day, user_id, detail) is allowed: {error}") from error
    finally:
        connection.close()


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
