"""`Operations` in SQLite or Postgres: `SqlOperations` joins its parts, one concept a file. wiring.py makes it."""

from __future__ import annotations

from celeriac.platform.store.sql_bulk import SqlBulk
from celeriac.platform.store.sql_retention import SqlRetention


class SqlOperations(SqlBulk, SqlRetention):
    """Reruns, bulk actions and retention over an engine of `celeriac.database.connect`."""
