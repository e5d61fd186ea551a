"""Limits: those that are a tenant's own as one text, plans, pauses of tenants, and a way to a tenant's queued runs."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: the columns that limits had before, with what everybody had who was not given another value
_BEFORE = {"running": 1_000, "starts_per_second": 1_000.0, "starts_burst": 5_000, "retention_days": None}

_QUEUED, _PAUSED, _CHANGED = "ix_runs_tenant_id_queued", "ix_tenants_paused", "ix_tenants_changed_at"


def upgrade() -> None:
    """Make the table, the columns and the index, and take over the limits that are not the defaults."""
    op.create_table(
        "plans",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_plans"),
    )
    op.add_column("tenants", sa.Column("limits", sa.Text, nullable=False, server_default=sa.text("'{}'")))
    op.add_column("tenants", sa.Column("plan", sa.Text))
    op.add_column("tenants", sa.Column("paused_at", sa.BigInteger))
    op.add_column("tenants", sa.Column("changed_at", sa.BigInteger))
    rows = op.get_bind().execute(sa.text(f"SELECT id, {', '.join(_BEFORE)} FROM tenants")).mappings().all()
    for row in rows:
        own = {name: row[name] for name, default in _BEFORE.items() if row[name] != default}
        _write("limits = :limits", row["id"], limits=json.dumps(own))
    for name in _BEFORE:
        op.drop_column("tenants", name)
    where = sa.text("status = 'queued'")
    op.create_index(_QUEUED, "runs", ["tenant_id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("paused_at IS NOT NULL")
    op.create_index(_PAUSED, "tenants", ["id"], sqlite_where=where, postgresql_where=where)
    op.create_index(_CHANGED, "tenants", ["changed_at"])


def downgrade() -> None:
    """Remove them; what a plan gives, and limits that there were not, is lost."""
    op.drop_index(_QUEUED, "runs")
    op.drop_index(_PAUSED, "tenants")
    op.drop_index(_CHANGED, "tenants")
    for name, kind in (("running", sa.Integer), ("starts_per_second", sa.Double), ("starts_burst", sa.Integer)):
        op.add_column("tenants", sa.Column(name, kind, nullable=False, server_default=sa.text(str(_BEFORE[name]))))
    op.add_column("tenants", sa.Column("retention_days", sa.Integer))
    rows = op.get_bind().execute(sa.text("SELECT id, limits FROM tenants")).mappings().all()
    for row in rows:
        own = {name: value for name, value in json.loads(row["limits"]).items() if name in _BEFORE}
        if own:
            _write(", ".join(f"{name} = :{name}" for name in own), row["id"], **own)
    for name in ("changed_at", "paused_at", "plan", "limits"):
        op.drop_column("tenants", name)
    op.drop_table("plans")


def _write(assignments: str, tenant_id: str, **values: object) -> None:
    op.get_bind().execute(sa.text(f"UPDATE tenants SET {assignments} WHERE id = :id"), {"id": tenant_id, **values})
