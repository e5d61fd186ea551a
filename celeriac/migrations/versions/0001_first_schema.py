"""The first schema: events, runs with their steps, declarations, workers, tenants, keys and memories.

A migration is a fact of the past: it repeats the tables as they were, and is never changed once it is released.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _create_events()
    _create_runs()
    _create_steps()
    _create_attempts()
    _create_waits()
    _create_functions()
    _create_triggers()
    _create_event_schemas()
    _create_workers()
    _create_tenants()
    _create_api_keys()
    _create_memories()


def downgrade() -> None:
    """Remove them with all that they hold."""
    for name in (
        "memories",
        "api_keys",
        "tenants",
        "workers",
        "event_schemas",
        "triggers",
        "functions",
        "waits",
        "attempts",
        "steps",
        "runs",
        "events",
    ):
        op.drop_table(name)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("sender_id", sa.Text, nullable=True),
        sa.Column("ts", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("is_internal", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("matched_at", sa.BigInteger, nullable=True),
        sa.Column("run_id", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("tenant_id", "sender_id", name=op.f("uq_events_tenant_id_sender_id")),
    )
    op.create_index(
        "ix_events_pending",
        "events",
        ["received_at"],
        sqlite_where=sa.text("matched_at IS NULL"),
        postgresql_where=sa.text("matched_at IS NULL"),
    )
    op.create_index("ix_events_tenant_id_name_received_at", "events", ["tenant_id", "name", "received_at"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("is_internal", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("output", sa.Text, nullable=True),
        sa.Column("error_code", sa.Text, nullable=True),
        sa.Column("error_message", sa.Text, nullable=True),
        sa.Column("fence", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("steps", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("waits", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("wakes", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("worker_id", sa.Text, nullable=True),
        sa.Column("claimed_at", sa.BigInteger, nullable=True),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("root_id", sa.Text, nullable=True),
        sa.Column("link_id", sa.Text, nullable=True),
        sa.Column("links", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("model_calls", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("tool_calls", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("input_tokens", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("output_tokens", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("cost_usd", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=True),
        sa.Column("ended_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    _index_runs()


def _index_runs() -> None:
    op.create_index(
        "ix_runs_queued",
        "runs",
        ["id"],
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index("ix_runs_tenant_id_created_at", "runs", ["tenant_id", "created_at", "id"])
    op.create_index("ix_runs_tenant_id_event_id", "runs", ["tenant_id", "event_id"])
    op.create_index(
        "ix_runs_tenant_id_function_id_created_at", "runs", ["tenant_id", "function_id", "created_at", "id"]
    )
    op.create_index("ix_runs_tenant_id_status_created_at", "runs", ["tenant_id", "status", "created_at", "id"])
    op.create_index(
        "ix_runs_worker_id",
        "runs",
        ["worker_id"],
        sqlite_where=sa.text("worker_id IS NOT NULL"),
        postgresql_where=sa.text("worker_id IS NOT NULL"),
    )


def _create_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("input", sa.Text, nullable=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("committed_at", sa.BigInteger, nullable=False),
        sa.Column("commit_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "path", name=op.f("pk_steps")),
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("commit_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "path", "number", name=op.f("pk_attempts")),
    )


def _create_waits() -> None:
    op.create_table(
        "waits",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("wake_at", sa.BigInteger, nullable=False),
        sa.Column("event_name", sa.Text, nullable=True),
        sa.Column("match_path", sa.Text, nullable=True),
        sa.Column("match_value", sa.Text, nullable=True),
        sa.Column("since", sa.BigInteger, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger, nullable=True),
        sa.Column("event_id", sa.Text, nullable=True),
        sa.Column("commit_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "path", "number", name=op.f("pk_waits")),
    )
    op.create_index(
        "ix_waits_due",
        "waits",
        ["wake_at"],
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index(
        "ix_waits_tenant_id_event_name",
        "waits",
        ["tenant_id", "event_name"],
        sqlite_where=sa.text("resolved_at IS NULL AND event_name IS NOT NULL"),
        postgresql_where=sa.text("resolved_at IS NULL AND event_name IS NOT NULL"),
    )


def _create_functions() -> None:
    op.create_table(
        "functions",
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("is_internal", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("app", "function_id", name=op.f("pk_functions")),
    )


def _create_triggers() -> None:
    op.create_table(
        "triggers",
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("is_pattern", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("event_name", "app", "function_id", name=op.f("pk_triggers")),
    )


def _create_event_schemas() -> None:
    op.create_table(
        "event_schemas",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", "app", name=op.f("pk_event_schemas")),
    )


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("boot_id", sa.Text, nullable=False),
        sa.Column("pid_namespace", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("pid_started", sa.BigInteger, nullable=False),
        sa.Column("queues", sa.Text, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("starts_per_second", sa.Double, nullable=False),
        sa.Column("starts_burst", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger, nullable=True),
        sa.Column("revoked_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id")),
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id"])


def _create_memories() -> None:
    op.create_table(
        "memories",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("user_key", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("embedder", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
    )
    op.create_index("ix_memories_tenant_id_user_key_created_at", "memories", ["tenant_id", "user_key", "created_at"])
