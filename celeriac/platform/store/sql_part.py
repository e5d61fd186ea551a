"""What the parts of the SQL store have in common: the engine, and the statements that both databases write alike.

Locks are always taken in one order: names of events, then senders' ids by the rows of events, then keys of runs, then
runs by id, then everything else. Whoever needs a run's row and its waits or its placed steps locks the run first; a
placed step alone, whose run stays as it is, is claimed and turned back without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, Text, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator

from celeriac.database import NOW, db_now, from_micros

#: from how many values on they are passed as one parameter
_MOST_PARAMETERS = 500

_LOCKS = {
    mode: text(f"SELECT {function}(name), {NOW['postgresql']} FROM unnest(CAST(:names AS BIGINT[])) AS name")
    for mode, function in (("shared", "pg_advisory_xact_lock_shared"), ("exclusive", "pg_advisory_xact_lock"))
}


class _Texts(TypeDecorator[Sequence[str]]):
    """Many texts as one parameter: an array on Postgres, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> str:
        texts = list(value or ())
        return text_array(texts) if dialect.name == "postgresql" else json.dumps(texts)


class _Among(FunctionElement[bool]):
    inherit_cache = True


@compiles(_Among)
def _compile_among(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    # A join and not `= ANY`, for which Postgres may go through the whole list for each row.
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    if compiler.dialect.name == "postgresql":
        return f"{column} IN (SELECT unnest(CAST({values} AS TEXT[])))"
    return f"{column} IN (SELECT value FROM json_each({values}))"


def among(column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """Say of a column that it has one of these values, however many they are.

    A statement on Postgres takes 65,535 parameters, and half as many on SQLite.
    """
    if len(values) <= _MOST_PARAMETERS:
        return column.in_(values)
    return _Among(column, bindparam(None, list(values), type_=_Texts()))


class SqlPart:
    """A part of the SQL store over one engine."""

    def __init__(self, engine: Engine, *, walled: Engine | None = None, heart: Engine | None = None) -> None:
        """Work on this engine; the schema must have been migrated.

        `walled` is the side of the database that shows the named tenant's rows alone, for what people ask for; `heart`
        is kept free for the heartbeat.
        """
        self._engine = engine
        self._heart = heart or engine
        self._walled = walled or engine
        self._is_postgres = engine.dialect.name == "postgresql"


def lock_names(connection: Connection, names: Iterable[tuple[str, ...]], mode: str) -> datetime:
    """Lock names until the transaction ends, `shared` or `exclusive`, and return the time at which all were held.

    On SQLite the transaction is alone anyway.
    """
    if connection.dialect.name != "postgresql":
        return present(connection)
    hashes = sorted({_hash64(name) for name in names})
    held = connection.execute(_LOCKS[mode], {"names": hashes}).all()
    return from_micros(held[-1][1]) if held else present(connection)


def lock_text(names: Iterable[tuple[str, ...]]) -> str:
    """Return the statement by which a transaction on Postgres is opened that shares the locks of these names."""
    hashes = ",".join(map(str, sorted({_hash64(name) for name in names})))
    return f"SELECT pg_advisory_xact_lock_shared(name) FROM unnest('{{{hashes}}}'::bigint[]) AS name"


def exclusive_text(name: tuple[str, ...]) -> str:
    """Return the statement by which a transaction on Postgres has the lock of a name alone until it ends."""
    return f"SELECT pg_advisory_xact_lock({_hash64(name)})"


def present(connection: Connection) -> datetime:
    """Return the database's time."""
    return connection.execute(_PRESENT).scalar_one()


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose keys are not there yet."""
    if rows:
        connection.execute(_insert(connection.dialect.name, table), rows)


def insert_one(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, whose values may be expressions, unless its key is there."""
    connection.execute(_insert(connection.dialect.name, table).values(row))


def insert_returning(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """Insert the rows whose keys are not there yet, and return what stands in `key` of those that were not."""
    if not rows:
        return []
    return list(connection.execute(_insert_returning(connection.dialect.name, table, key), rows).scalars())


@cache
def _insert(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table).on_conflict_do_nothing()


@cache
def _insert_returning(dialect: str, table: Table, key: str) -> Any:
    return _insert(dialect, table).returning(table.c[key])


def _hash64(name: tuple[str, ...]) -> int:
    digest = hashlib.blake2b("\x1f".join(name).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def text_array(values: Iterable[object]) -> str:
    """Return the values as the text of a Postgres array."""
    return "{" + ",".join([_quoted(value) if isinstance(value, str) else _plain(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: object) -> str:
    return "NULL" if value is None else repr(value)


_PRESENT = select(db_now())
