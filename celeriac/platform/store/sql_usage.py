"""Usage in SQL: reads what was counted, and on Postgres rolls the counted rows up into days.

A read is one statement over both tables, and a roll one transaction that moves rows from one to the other, so a read
sees each row in exactly one of them. Rolls that meet take different rows (SKIP LOCKED), and add to the days in the
order of their keys, so that they never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Engine, cast, func, literal_column, select, union_all

from celeriac.database import reading, single
from celeriac.platform.durable.usage import BY, COUNTS, By, Spent, UsageRow, day_number, day_of
from celeriac.platform.store.sql_counting import DAY
from celeriac.platform.store.sql_part import SqlPart
from celeriac.platform.store.usage_tables import KEY, usage_daily, usage_deltas

_COLUMN = {"tenant": "tenant_id", "day": "day", "function": "function", "model": "model"}

#: which rows a page is made of does not matter: all are to go
_ROLL = f"""
WITH page AS MATERIALIZED (
    DELETE FROM usage_deltas WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_deltas LIMIT %s FOR UPDATE SKIP LOCKED))
    RETURNING *
),
added AS (
    INSERT INTO usage_daily AS d ({", ".join((*KEY, *COUNTS))})
    SELECT {", ".join(KEY)}, {", ".join(f"sum({name})" for name in COUNTS)}
    FROM page GROUP BY {", ".join(KEY)} ORDER BY {", ".join(KEY)}
    ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET {", ".join(f"{name} = d.{name} + excluded.{name}" for name in COUNTS)}
)
SELECT count(*) FROM page"""

#: what a tenant has spent from a day on, and the part of it from another day on
_SPENT = """
SELECT coalesce(sum(cost_usd), 0), coalesce(sum(CASE WHEN day >= %s THEN cost_usd END), 0) FROM (
    SELECT day, cost_usd FROM usage_daily WHERE tenant_id = %s AND day >= %s
    UNION ALL
    SELECT day, cost_usd FROM usage_deltas WHERE tenant_id = %s AND day >= %s
) AS used"""


class SqlUsages(SqlPart):
    """The `Usages` of SQLite and Postgres."""

    def __init__(self, engine: Engine, *, walled: Engine | None = None) -> None:
        """Work on this engine; what is asked for one tenant is read through `walled`, where there is one."""
        super().__init__(engine)
        self._walled = walled or engine

    def today(self) -> date:
        with reading(self._engine) as connection:
            number = connection.exec_driver_sql(f"SELECT {DAY[self._engine.dialect.name]}").scalar_one()
        return day_of(number)

    def usage(
        self, tenant_id: str | None, since: date, until: date, by: Sequence[By] = ("day", "function", "model")
    ) -> list[UsageRow]:
        names = [_COLUMN[part] for part in BY if part in by]
        parts = []
        for table in (usage_daily, usage_deltas):
            found = select(*(table.c[name] for name in (*names, *COUNTS)))
            found = found.where(table.c.day >= day_number(since), table.c.day <= day_number(until))
            parts.append(found if tenant_id is None else found.where(table.c.tenant_id == tenant_id))
        used = union_all(*parts).subquery("used")
        keys = [used.c[name] for name in names]
        sums: list[ColumnElement[Any]] = [_total(used.c[name]).label(name) for name in COUNTS]
        with reading(self._engine if tenant_id is None else self._walled, tenant_id) as connection:
            rows = connection.execute(select(*keys, *sums).group_by(*keys).order_by(*keys)).all()
        return [_row_of(row._asdict()) for row in rows]

    def spent(self, tenant_id: str, since: date) -> float:
        return self._spent(tenant_id, since, since)[0]

    def spent_now(self, tenant_id: str) -> Spent:
        today = self.today()
        of_month, of_day = self._spent(tenant_id, today.replace(day=1), today)
        return Spent(today=of_day, this_month=of_month)

    def _spent(self, tenant_id: str, since: date, later: date) -> tuple[float, float]:
        place = (tenant_id, day_number(since))
        text = _SPENT if self._is_postgres else _SPENT.replace("%s", "?")
        with reading(self._walled, tenant_id) as connection:
            total, part = connection.exec_driver_sql(text, (day_number(later), *place, *place)).one()
        return float(total), float(part)

    def roll(self, *, most: int = 5000) -> int:
        if not self._is_postgres:
            return 0
        with single(self._engine) as connection:
            return int(connection.exec_driver_sql(_ROLL, (most,)).scalar_one())


def _total(column: ColumnElement[Any]) -> ColumnElement[Any]:
    total = func.coalesce(func.sum(column), literal_column("0"))
    return total if column.key == "cost_usd" else cast(total, BigInteger)


def _row_of(found: dict[str, Any]) -> UsageRow:
    if "day" in found:
        found["day"] = day_of(found["day"])
    return UsageRow(**found)
