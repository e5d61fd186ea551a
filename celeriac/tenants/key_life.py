"""How long keys live, by the database's clock, and how long one that was looked up is believed.

`keys.py` and `signing.py` ask for it in their statements.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, or_, type_coerce, update

from celeriac.database import db_ago, db_now
from celeriac.tenants.tables import api_keys

#: how long a key is believed without asking the database
CACHE_SECONDS = 0.5

#: how often the time of the last use is written
USED_EVERY = timedelta(minutes=1)

#: the key is neither revoked nor expired
IS_LIVE: ColumnElement[bool] = and_(
    api_keys.c.revoked_at.is_(None), or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > db_now())
)

#: microseconds until the key expires
LEFT = (type_coerce(api_keys.c.expires_at, BigInteger) - type_coerce(db_now(), BigInteger)).label("left")

#: the time of the last use is to be written
IS_USED_ANEW = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= db_ago(USED_EVERY)).label(
    "is_used_anew"
)


def note_use(connection: Connection, tenant_id: str, key_id: str) -> None:
    """Write down that the key was used just now."""
    used = update(api_keys).where(api_keys.c.id == key_id, api_keys.c.tenant_id == tenant_id)
    connection.execute(used.values(last_used_at=db_now()))


def believed_for(left: int | None) -> float:
    """Return for how many seconds a key with so many microseconds to live is believed: never beyond its expiry."""
    return CACHE_SECONDS if left is None else min(CACHE_SECONDS, left / 1_000_000)
