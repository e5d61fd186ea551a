"""Alembic's entry: runs the migrations over the connection that `celeriac.database.migrate` hands in.

Alembic executes this file by itself. It opens no connection and reads no settings. After the migrations, however many
there were, every table gets its wall: that of a new table is forgotten by nobody.
"""

from __future__ import annotations

from alembic import context

import celeriac.platform.memory.tables
import celeriac.platform.store.tables
import celeriac.tenants.tables  # noqa: F401 (the three rooms with tables)
from celeriac.database import metadata
from celeriac.row_security import open_schema, raise_wall

attributes = context.config.attributes
connection = attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
is_postgres = connection.dialect.name == "postgresql"
if is_postgres:
    open_schema(connection)
with context.begin_transaction():
    context.run_migrations()
if is_postgres:
    mode = attributes.get("row_security", "auto")
    attributes["is_raised"] = raise_wall(connection, metadata.sorted_tables, mode)
