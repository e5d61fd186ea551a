"""The table of memories. Only `sql_vectors.py` reads and writes it."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from celeriac.database import Moment, metadata

memories = Table(
    "memories",
    metadata,
    #: made from the scope, the idempotency key and the text, so that the same statement is inserted once
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    #: the user id, or a hash of it
    Column("user_key", Text, nullable=False),
    Column("text", Text, nullable=False),
    #: what else Mem0 keeps beside the text, as JSON
    Column("payload", Text, nullable=False),
    #: float32 values, little end first, of length 1 together
    Column("vector", LargeBinary, nullable=False),
    #: what made the vector; only vectors of one embedder can be compared
    Column("embedder", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_memories_tenant_id_user_key_created_at", "tenant_id", "user_key", "created_at"),
)
