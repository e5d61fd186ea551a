"""The tables of this room: tenants with their limits, and their keys, of which only hashes are kept."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text, text

from celeriac.database import Moment, metadata

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    #: JSON of the limits that are its own; the others are those of its plan, or the defaults
    Column("limits", Text, nullable=False, server_default=text("'{}'")),
    #: the plan's name
    Column("plan", Text),
    #: while it is set, nothing of the tenant starts
    Column("paused_at", Moment),
    Column("created_at", Moment, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    Column("kind", Text, nullable=False),
    #: hex of SHA-256 over the whole key, whose secret part has 190 random bits: too many to guess, so no salt is needed
    Column("secret_hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    #: written at most once a minute
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    Index("ix_api_keys_tenant_id", "tenant_id"),
)

plans = Table(
    "plans",
    metadata,
    Column("name", Text, primary_key=True),
    #: JSON
    Column("limits", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

#: rows are only ever added; see `audit.py`
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Text, primary_key=True),
    #: whose it was; NULL: the installation's
    Column("tenant_id", Text),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    #: JSON
    Column("detail", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Index("ix_audit_log_tenant_id_at", "tenant_id", "at", "id"),
)
