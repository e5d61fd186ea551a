"""Limits of functions: what a run has to tell the Gate, and the times that a rate limit counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: the gate of a run that holds a pool begins with the key `held`
_HOLDS_A_POOL = sa.text("gate < '{\"i' AND status IN ('queued', 'running', 'parked')")


def upgrade() -> None:
    """Add the columns, and the index by which runs are found that hold what others wait for."""
    op.add_column("runs", sa.Column("gate", sa.Text))
    op.add_column("run_keys", sa.Column("times", sa.Text))
    op.create_index("ix_runs_gate", "runs", ["id"], sqlite_where=_HOLDS_A_POOL, postgresql_where=_HOLDS_A_POOL)


def downgrade() -> None:
    """Take them away, and the keys that an older version does not know."""
    op.drop_index("ix_runs_gate", table_name="runs")
    op.execute("DELETE FROM run_keys WHERE kind IN ('rate_limit', 'singleton')")
    op.drop_column("run_keys", "times")
    op.drop_column("runs", "gate")
