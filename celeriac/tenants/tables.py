"""The tables of this room: tenants with their limits, and their keys, of which only hashes are kept."""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, LargeBinary, Table, Text

from celeriac.database import Moment, metadata
from celeriac.row_security import owned_by

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("running", Integer, nullable=False),
    Column("starts_per_second", Double, nullable=False),
    Column("starts_burst", Integer, nullable=False),
    #: NULL: as the installation says; 0: for ever
    Column("retention_days", Integer),
    Column("created_at", Moment, nullable=False),
    info=owned_by("id", web_may="SELECT"),
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
    info=owned_by("tenant_id", web_may="SELECT, INSERT"),
)

#: what tenants entrust to the installation, encrypted
tenant_secrets = Table(
    "tenant_secrets",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    #: the provider of models whose key it is
    Column("provider", Text),
    #: which key of the operator's encrypted it
    Column("key_id", Text, nullable=False),
    #: the nonce, and what was encrypted with it
    Column("box", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    #: written at most once a minute
    Column("last_used_at", Moment),
    Index("ix_tenant_secrets_key_id", "key_id"),
)
