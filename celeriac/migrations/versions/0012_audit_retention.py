"""The way to the oldest entries of the audit log, which are kept for a while and no longer."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_audit_log_at", "audit_log", ["at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_audit_log_at", "audit_log")
