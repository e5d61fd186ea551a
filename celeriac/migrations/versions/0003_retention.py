"""Retention: how long a tenant's ended runs are kept, and the way from an event to the waits that it resolved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WAITS = "ix_waits_event_id"


def upgrade() -> None:
    """Add the column and make the index."""
    op.add_column("tenants", sa.Column("retention_days", sa.Integer, nullable=True))
    where = sa.text("event_id IS NOT NULL")
    op.create_index(_WAITS, "waits", ["event_id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Remove them."""
    op.drop_index(_WAITS, "waits")
    op.drop_column("tenants", "retention_days")
