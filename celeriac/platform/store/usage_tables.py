"""The tables of usage: what was used of each tenant, by UTC day, function and model.

`sql_counting.py` writes them in the transactions that do what is counted, `sql_usage.py` reads and rolls them up. On
Postgres, where many write at once, rows are only ever appended to `usage_deltas`, so that nobody waits for another's
lock; on SQLite, which has one writer, they are added to `usage_daily` at once.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, Table, Text, text

from celeriac.database import metadata
from celeriac.platform.durable.usage import COUNTS

#: what rows are told apart by: the tenant, days since 1970 in UTC, `app/function_id` (empty: of no function), and
#: `provider:model` (empty: what is no call of a model)
KEY = ("tenant_id", "day", "function", "model")


def _columns(*, are_key: bool) -> list[Column[object]]:
    keys: list[Column[object]] = [
        Column(name, Integer if name == "day" else Text, primary_key=are_key, autoincrement=False, nullable=False)
        for name in KEY
    ]
    counts: list[Column[object]] = [
        Column(name, Double if name == "cost_usd" else BigInteger, nullable=False, server_default=text("0"))
        for name in COUNTS
    ]
    return [*keys, *counts]


usage_daily = Table("usage_daily", metadata, *_columns(are_key=True))

#: what has not been added to the daily rows yet; what was used is the sum of both
usage_deltas = Table(
    "usage_deltas",
    metadata,
    *_columns(are_key=False),
    Index("ix_usage_deltas_tenant_id_day", "tenant_id", "day"),
)
