"""Alembic's entry: runs the migrations over the connection that `celeriac.database.migrate` hands in.

Alembic executes this file by itself. It opens no connection and reads no settings.
"""

from __future__ import annotations

from alembic import context

from celeriac.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
