"""Keys, people, invitations and kept answers are read and changed behind the second wall between tenants.

No table changes: the rules of `tenants/tables.py` do, and `env.py` raises each table's wall by them after the
migrations. The revision is there so that a process of this version says that it needs a migration, and does not go
on with the rights of before.
"""

from __future__ import annotations

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing here."""


def downgrade() -> None:
    """Change nothing here: the wall is raised by the rules of the version that does it."""
