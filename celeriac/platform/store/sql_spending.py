"""What models have cost a tenant, read from the steps that were committed: each once, whatever was repeated.

The meter asks for it before each call of a model of a tenant that has a budget.
"""

from __future__ import annotations

from dataclasses import dataclass

from celeriac.database import reading
from celeriac.platform.store.sql_part import SqlPart

_BEGINNINGS = {
    "sqlite": """
SELECT CAST(unixepoch(celeriac_now() / 1000000, 'unixepoch', 'start of day') AS INTEGER) * 1000000,
       CAST(unixepoch(celeriac_now() / 1000000, 'unixepoch', 'start of month') AS INTEGER) * 1000000""",
    "postgresql": """
SELECT CAST(extract(epoch FROM date_trunc('day', now() AT TIME ZONE 'UTC')) AS BIGINT) * 1000000,
       CAST(extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC')) AS BIGINT) * 1000000""",
}

_COST = {
    "sqlite": "CAST(json_extract(value, '$.usage.cost_usd') AS REAL)",
    "postgresql": "CAST(CAST(value AS json) -> 'usage' ->> 'cost_usd' AS DOUBLE PRECISION)",
}

_SPENT = """
SELECT coalesce(sum(CASE WHEN committed_at >= {day} THEN {cost} END), 0), coalesce(sum({cost}), 0) FROM steps
WHERE tenant_id = {mark} AND kind = 'model' AND committed_at >= {month} AND value LIKE '{{%'"""


@dataclass(frozen=True, kw_only=True)
class SpentNow:
    """What a tenant has spent by now, in US dollars."""

    today: float
    this_month: float


class SqlSpending(SqlPart):
    """The `Spending` of SQLite and Postgres."""

    def spent_now(self, tenant_id: str) -> SpentNow:
        name = self._engine.dialect.name
        with reading(self._engine) as connection:
            day, month = connection.exec_driver_sql(_BEGINNINGS[name]).one()
            text = _SPENT.format(
                day=int(day), month=int(month), cost=_COST[name], mark="%s" if self._is_postgres else "?"
            )
            text = text.replace("{%", "{%%") if self._is_postgres else text
            today, this_month = connection.exec_driver_sql(text, (tenant_id,)).one()
        return SpentNow(today=today, this_month=this_month)
