"""What is due in SQL: one look, ten times a second on every worker, that finds mostly nothing."""

from __future__ import annotations

from celeriac.database import STATEMENT_NOW, reading
from celeriac.platform.durable.store import Due
from celeriac.platform.store.sql_part import SqlPart


def _look(now: str) -> str:
    """Each part is answered by the first row of a partial index."""
    return f"""
SELECT
    EXISTS (SELECT 1 FROM events WHERE matched_at IS NULL),
    EXISTS (SELECT 1 FROM waits WHERE resolved_at IS NULL AND wake_at <= {now}),
    EXISTS (SELECT 1 FROM placed_steps WHERE status IN ('queued', 'waiting') AND status = 'waiting'
            AND queued_at <= {now}),
    EXISTS (SELECT 1 FROM crons WHERE next_at <= {now}),
    EXISTS (SELECT 1 FROM runs WHERE deadline IS NOT NULL AND deadline <= {now})"""


_LOOKS = {dialect: _look(now) for dialect, now in STATEMENT_NOW.items()}


class SqlDue(SqlPart):
    """The part of the store that says whether there is anything to do."""

    def due(self) -> Due:
        with reading(self._engine) as connection:
            row = connection.exec_driver_sql(_LOOKS[self._engine.dialect.name]).one()
        return Due(*map(bool, row))
