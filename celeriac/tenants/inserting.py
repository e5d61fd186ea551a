"""Inserting what may be there already, alike on both databases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_once(connection: Connection, table: Table) -> Any:
    """Return an INSERT into the table that does nothing where one of the row's keys is there."""
    return _insert(connection, table).on_conflict_do_nothing()


def insert_or_change(connection: Connection, table: Table, row: Mapping[str, Any], changed: Collection[str]) -> Any:
    """Return an INSERT of the row that, where its primary key is there, gives these of its values to what is there."""
    new = _insert(connection, table).values(row)
    return new.on_conflict_do_update(
        index_elements=[*table.primary_key], set_={name: new.excluded[name] for name in changed}
    )


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
