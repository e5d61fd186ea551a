"""Durable functions: start rules, crons, pauses, keys of runs, placed steps, bulk actions, reruns and deadlines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_RUNS = (
    ("event_ids", sa.Text),
    ("cancel_reason", sa.Text),
    ("deadline", sa.BigInteger),
    ("time_limit", sa.BigInteger),
    ("parent_id", sa.Text),
    ("rerun_of", sa.Text),
    ("overrides", sa.Text),
)

_TABLES = ("bulk_actions", "placed_steps", "run_keys", "run_events", "pauses", "crons", "apps")

_STATUS = "ix_runs_tenant_id_status_created_at"
_STATUS_COLUMNS = ["tenant_id", "status", "created_at", "id"]


def upgrade() -> None:
    """Add the columns and make the tables."""
    op.add_column("events", sa.Column("target", sa.Text, nullable=True))
    for name, kind in _RUNS:
        op.add_column("runs", sa.Column(name, kind, nullable=True))
    op.add_column("runs", sa.Column("suspicion", sa.Integer, nullable=False, server_default=sa.text("0")))
    _index("ix_runs_deadline", "runs", "deadline", "deadline IS NOT NULL")
    op.drop_index(_STATUS, "runs")
    where = sa.text("status IN ('parked', 'failed', 'cancelled', 'skipped')")
    op.create_index(_STATUS, "runs", _STATUS_COLUMNS, sqlite_where=where, postgresql_where=where)
    op.add_column("waits", sa.Column("condition", sa.Text, nullable=True))
    op.add_column("waits", sa.Column("match_key", sa.BigInteger, nullable=True))
    _index_waits("tenant_id", "event_name", "match_key")
    op.add_column("functions", sa.Column("rules", sa.Text, nullable=True))
    _create_triggers()
    _create_crons()
    _create_apps_and_pauses()
    _create_gathering()
    _create_placed_steps()
    _create_bulk_actions()


def downgrade() -> None:
    """Remove them with all that they hold."""
    for table in _TABLES:
        op.drop_table(table)
    first = "SELECT min(t.number) FROM triggers t WHERE t.event_name = triggers.event_name AND t.app = triggers.app"
    op.execute(sa.text(f"DELETE FROM triggers WHERE number > ({first} AND t.function_id = triggers.function_id)"))
    op.rename_table("triggers", "newer_triggers")
    _make_triggers_of_0001()
    op.execute(sa.text("INSERT INTO triggers SELECT event_name, app, function_id, is_pattern FROM newer_triggers"))
    op.drop_table("newer_triggers")
    op.drop_column("functions", "rules")
    _index_waits("tenant_id", "event_name")
    op.drop_column("waits", "match_key")
    op.drop_column("waits", "condition")
    op.drop_index(_STATUS, "runs")
    op.create_index(_STATUS, "runs", _STATUS_COLUMNS)
    op.drop_index("ix_runs_deadline", "runs")
    op.drop_column("runs", "suspicion")
    for name, _ in _RUNS:
        op.drop_column("runs", name)
    op.drop_column("events", "target")


def _index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _index_waits(*columns: str) -> None:
    op.drop_index("ix_waits_tenant_id_event_name", "waits")
    where = sa.text("resolved_at IS NULL AND event_name IS NOT NULL")
    op.create_index("ix_waits_tenant_id_event_name", "waits", list(columns), sqlite_where=where, postgresql_where=where)


def _make_triggers_of_0001() -> None:
    if _is_postgres():
        op.execute(sa.text("ALTER TABLE newer_triggers DROP CONSTRAINT pk_triggers"))
    op.create_table(
        "triggers",
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("is_pattern", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("event_name", "app", "function_id", name=op.f("pk_triggers")),
    )


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _create_triggers() -> None:
    """Make the table anew, as its key grows by one column."""
    op.rename_table("triggers", "older_triggers")
    if _is_postgres():
        op.execute(sa.text("ALTER TABLE older_triggers DROP CONSTRAINT pk_triggers"))
    op.create_table(
        "triggers",
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("is_pattern", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("condition", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("event_name", "app", "function_id", "number", name=op.f("pk_triggers")),
    )
    op.execute(
        sa.text(
            "INSERT INTO triggers (event_name, app, function_id, number, is_pattern) "
            "SELECT event_name, app, function_id, 0, is_pattern FROM older_triggers"
        )
    )
    op.drop_table("older_triggers")


def _create_crons() -> None:
    op.create_table(
        "crons",
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("tz", sa.Text, nullable=False),
        sa.Column("jitter", sa.BigInteger, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=True),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("app", "function_id", "schedule", "tz", name=op.f("pk_crons")),
    )
    op.create_index("ix_crons_next_at", "crons", ["next_at"])


def _create_apps_and_pauses() -> None:
    op.create_table(
        "apps",
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("app", name=op.f("pk_apps")),
    )
    op.create_table(
        "pauses",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("paused_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "app", "function_id", name=op.f("pk_pauses")),
    )


def _create_gathering() -> None:
    op.create_table(
        "run_keys",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("gathered", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("event_ts", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "app", "function_id", "kind", "key", name=op.f("pk_run_keys")),
    )
    op.create_index("ix_run_keys_expires_at", "run_keys", ["expires_at"])
    op.create_table(
        "run_events",
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "run_id", name=op.f("pk_run_events")),
    )
    op.create_index("ix_run_events_run_id", "run_events", ["run_id"])


def _create_placed_steps() -> None:
    op.create_table(
        "placed_steps",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("token", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=True),
        sa.Column("pid", sa.BigInteger, nullable=True),
        sa.Column("pid_started", sa.BigInteger, nullable=True),
        sa.Column("deaths", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("run_id", "path", name=op.f("pk_placed_steps")),
    )
    _index("ix_placed_steps_queued", "placed_steps", "queued_at", "status IN ('queued', 'waiting')")
    _index("ix_placed_steps_worker_id", "placed_steps", "worker_id", "worker_id IS NOT NULL")


def _create_bulk_actions() -> None:
    op.create_table(
        "bulk_actions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("seen", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("changed", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("cursor", sa.Text, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_actions")),
    )
    op.create_index("ix_bulk_actions_tenant_id_created_at", "bulk_actions", ["tenant_id", "created_at"])
    _index("ix_bulk_actions_running", "bulk_actions", "id", "status = 'running'")
