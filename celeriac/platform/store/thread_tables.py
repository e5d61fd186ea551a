"""The tables of threads and of what was said in them. Only `sql_threads.py` reads and writes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from celeriac.database import Moment, metadata

threads = Table(
    "threads",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    #: whoever starts a conversation may choose it, so that it is the tenant's own and no one else's
    Column("id", Text, primary_key=True),
    #: whom the event that made it was about
    Column("user_id", Text),
    #: the beginning of the first user's message
    Column("title", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_threads_tenant_id_updated_at", "tenant_id", "updated_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("thread_id", Text, primary_key=True),
    #: of the message, or of the result
    Column("id", Text, primary_key=True),
    #: the place in the thread; times of one transaction are equal, so that they order nothing
    Column("seq", BigInteger, nullable=False),
    #: user, or agent
    Column("kind", Text, nullable=False),
    Column("agent", Text),
    #: the message or the result as JSON
    Column("data", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_messages_tenant_id_thread_id_seq", "tenant_id", "thread_id", "seq", unique=True),
)
