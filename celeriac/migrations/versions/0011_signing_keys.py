"""The secrets of signing keys, encrypted. Keys of this kind that were made before have none and sign nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "signing_secrets",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("box", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_signing_secrets"),
    )
    op.create_index("ix_signing_secrets_key_id", "signing_secrets", ["key_id"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("signing_secrets")
