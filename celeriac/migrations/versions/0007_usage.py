"""Usage: what was used of each tenant, by day, function and model."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COUNTS = (
    *("runs", "links", "steps", "model_calls", "tool_calls"),
    *("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
)


def upgrade() -> None:
    """Make the tables; what was used before is not counted."""
    op.create_table("usage_daily", *_columns(), sa.PrimaryKeyConstraint(*_KEY, name="pk_usage_daily"))
    op.create_table("usage_deltas", *_columns())
    op.create_index("ix_usage_deltas_tenant_id_day", "usage_deltas", ["tenant_id", "day"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("usage_deltas")
    op.drop_table("usage_daily")


_KEY = ("tenant_id", "day", "function", "model")


def _columns() -> list[sa.Column[Any]]:
    zero = sa.text("0")
    return [
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("function", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default=zero) for name in _COUNTS),
        sa.Column("cost_usd", sa.Double, nullable=False, server_default=zero),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default=zero),
    ]
