"""Resealing: turns what older encryption keys of the operator encrypted over to the first one.

Knows every table in which something lies encrypted, and to which place each row is bound. `secrets.py` asks, for the
CLI and `celeriac doctor`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Table, select, update

from celeriac.database import reading, transaction
from celeriac.tenants.encryption import Cipher, Sealed
from celeriac.tenants.tables import signing_secrets, tenant_secrets


def place_of_secret(tenant_id: str, name: str) -> tuple[str, ...]:
    """Return what a tenant's secret is bound to."""
    return tenant_id, name


def place_of_signing_key(tenant_id: str, key_id: str) -> tuple[str, ...]:
    """Return what a signing key is bound to, which no secret of any name is."""
    return tenant_id, "signing key", key_id


@dataclass(frozen=True)
class _Boxes:
    """A table of encrypted rows, by tenant and a name."""

    table: Table
    name: str
    place: Callable[[str, str], tuple[str, ...]]


_ALL = (
    _Boxes(tenant_secrets, "name", place_of_secret),
    _Boxes(signing_secrets, "id", place_of_signing_key),
)


def reseal_page(engine: Engine, cipher: Cipher, most: int) -> int:
    """Encrypt up to so many rows with the first key; return how many that were, 0 where none is left.

    Raises `ConfigError` where one does not open.
    """
    for boxes in _ALL:
        with transaction(engine) as connection:
            if moved := _reseal(connection, cipher, boxes, most):
                return moved
    return 0


def keys_in_use(engine: Engine) -> set[str]:
    """Return the ids of the encryption keys under which something lies."""
    with reading(engine) as connection:
        found = [connection.execute(select(boxes.table.c.key_id).distinct()).scalars().all() for boxes in _ALL]
    return {key_id for ids in found for key_id in ids}


def _reseal(connection: Connection, cipher: Cipher, boxes: _Boxes, most: int) -> int:
    table, name = boxes.table, boxes.table.c[boxes.name]
    old = select(table.c.tenant_id, name.label("name"), table.c.key_id, table.c.box)
    old = old.where(table.c.key_id != cipher.key_ids[0]).order_by(table.c.tenant_id, name).limit(most)
    rows = connection.execute(old.with_for_update()).all()
    for row in rows:
        place = boxes.place(row.tenant_id, row.name)
        sealed = cipher.seal(cipher.open(Sealed(key_id=row.key_id, box=row.box), place), place)
        same = (table.c.tenant_id == row.tenant_id, name == row.name)
        connection.execute(update(table).where(*same).values(key_id=sealed.key_id, box=sealed.box))
    return len(rows)
