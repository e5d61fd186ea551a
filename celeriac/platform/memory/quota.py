"""The quota on memories: how many a tenant may have, kept exactly.

Called inside the transaction that adds one. Those who add for a tenant with a quota take turns; no others pay for it.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select, text

from celeriac.errors import LimitError
from celeriac.platform.memory.tables import memories

_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended('celeriac.memories:' || :tenant_id, 0))")


def refuse_one_more(connection: Connection, tenant_id: str, id: str, most: int) -> None:
    """Raise `LimitError` where the tenant has as many memories as it may, and this id is not among them."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(_TURN, {"tenant_id": tenant_id})
    others = select(memories.c.id).where(memories.c.tenant_id == tenant_id, memories.c.id != id).limit(most)
    if connection.execute(select(func.count()).select_from(others.subquery())).scalar_one() < most:
        return
    known = select(memories.c.id).where(memories.c.tenant_id == tenant_id, memories.c.id == id)
    if connection.execute(known).first() is None:
        raise LimitError(
            f"The tenant may have {most} memories and has them; delete some, or raise its limit 'memories'",
            code="quota_exceeded",
        )
