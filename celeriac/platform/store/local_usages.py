"""Usage in memory: the twin of `SqlUsages`; what was counted stands where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from celeriac.platform.durable.usage import BY, COUNTS, By, Spent, UsageRow, day_number, day_of
from celeriac.platform.store.local_part import LocalPart

_FIELD = {"tenant": "tenant_id", "day": "day", "function": "function", "model": "model"}


class LocalUsages(LocalPart):
    """The part of the store in memory that tells what was used."""

    def today(self) -> date:
        """Return the clock's day in UTC."""
        return day_of(day_number(self.now()))

    def usage(
        self, tenant_id: str | None, since: date, until: date, by: Sequence[By] = ("day", "function", "model")
    ) -> list[UsageRow]:
        """Return what was used, in the order of the keys."""
        names = [_FIELD[part] for part in BY if part in by]
        found: dict[tuple[str | date, ...], UsageRow] = {} if names else {(): UsageRow()}
        with self._lock:
            for (tenant, day, _, _), used in sorted(self._used.items()):
                if tenant_id in (None, tenant) and day_number(since) <= day_number(day) <= day_number(until):
                    parts = {name: getattr(used, name) for name in names}
                    key = tuple(parts.values())
                    known = found.get(key, UsageRow(**parts))
                    sums = {name: getattr(known, name) + getattr(used, name) for name in COUNTS}
                    found[key] = replace(known, **sums)
        return [found[key] for key in sorted(found)]

    def spent(self, tenant_id: str, since: date) -> float:
        """Return the cost from that day on."""
        [total] = self.usage(tenant_id, since, date.max, by=())
        return total.cost_usd

    def spent_now(self, tenant_id: str) -> Spent:
        """Return the cost of today and of this month."""
        today = self.today()
        return Spent(today=self.spent(tenant_id, today), this_month=self.spent(tenant_id, today.replace(day=1)))

    def roll(self, *, most: int = 5000) -> int:
        """Do nothing: nothing waits to be added."""
        return 0
