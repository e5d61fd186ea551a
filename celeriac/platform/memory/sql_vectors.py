"""The vector store: memories in SQL, in the shape that Mem0 asks of one (`VectorStoreBase`).

Mem0 calls it with vector ids of the form `<tenant>::<id>` and with the scope's key as its only filter, so that every
statement here carries the tenant. It compares within one scope only, which is small, and needs no vector extension.
Nothing here may read, change or drop rows of more than one scope at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from celeriac.database import db_now, reading, single, transaction
from celeriac.errors import ConfigError
from celeriac.platform.memory.quota import refuse_one_more
from celeriac.platform.memory.scope import MOST_OF_A_SCOPE, Scope, not_found, qualified, unqualified
from celeriac.platform.memory.tables import memories
from celeriac.platform.memory.vectors import Vector, nearest, pack

#: where the caller of Mem0 puts the id that the row shall have, as Mem0 makes up one of its own
MEMORY_ID = "memory_id"

#: what of a payload has a column, or repeats one
_COLUMNS = frozenset({MEMORY_ID, "data", "user_id", "created_at", "updated_at", "text_lemmatized"})

_SHOWN = (
    memories.c.id,
    memories.c.tenant_id,
    memories.c.user_key,
    memories.c.text,
    memories.c.payload,
    memories.c.created_at,
    memories.c.updated_at,
)


@dataclass(frozen=True)
class Hit:
    """A memory as Mem0 reads it."""

    id: str
    score: float | None
    payload: dict[str, Any]


class SqlVectors:
    """Keeps memories and finds the nearest ones, for any number of threads and processes."""

    def __init__(self, engine: Engine, embedder: str, most: Callable[[str], int | None] = lambda _: None) -> None:
        """Keep vectors made by the embedder of that name, and compare only those.

        `most` tells how many memories a tenant may have; None: any number.
        """
        self._engine = engine
        self._embedder = embedder
        self._most = most

    def insert(self, vectors: Sequence[Vector], payloads: Sequence[Mapping[str, Any]], ids: object = None) -> None:
        """Insert each payload once under its own `memory_id`; what is there under that id stays as it is.

        Mem0's own ids are fresh at each call, so a step that is tried again would double its memories with them.
        Raises `LimitError` with the code `quota_exceeded` for one memory more than the tenant may have.
        """
        for vector, payload in zip(vectors, payloads, strict=True):
            scope = Scope.parse(payload["user_id"])
            row = {
                "id": payload[MEMORY_ID],
                "tenant_id": scope.tenant_id,
                "user_key": scope.user_key,
                "created_at": db_now(),
                **self._changing(vector, payload),
            }
            most = self._most(scope.tenant_id)
            opened = single if most is None else transaction
            with opened(self._engine, scope.tenant_id) as connection:
                if most is not None:
                    refuse_one_more(connection, scope.tenant_id, row["id"], most)
                into = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
                connection.execute(into(memories).values(row).on_conflict_do_nothing())

    def search(
        self, query: str, vectors: Vector, top_k: int = 5, filters: Mapping[str, Any] | None = None
    ) -> list[Hit]:
        """Return the memories of the scope nearest to the vector, nearest first, at equal scores the newest."""
        scope = _scope_of(filters)
        statement = (
            select(*_SHOWN, memories.c.vector)
            .where(_of_scope(scope), memories.c.embedder == self._embedder)
            .order_by(memories.c.created_at.desc(), memories.c.id.desc())
            .limit(MOST_OF_A_SCOPE)
        )
        with reading(self._engine, scope.tenant_id) as connection:
            rows = connection.execute(statement).all()
        return [_hit(rows[place], score) for place, score in nearest(vectors, [row.vector for row in rows], top_k)]

    def keyword_search(self, query: str, top_k: int = 5, filters: object = None) -> None:
        """Return None: there is no search by keywords beside the one by vectors."""

    def list(self, filters: Mapping[str, Any] | None = None, top_k: int | None = None) -> list[list[Hit]]:
        """Return the memories of the scope, newest first, in a list of one list."""
        scope = _scope_of(filters)
        statement = (
            select(*_SHOWN)
            .where(_of_scope(scope))
            .order_by(memories.c.created_at.desc(), memories.c.id.desc())
            .limit(min(top_k or MOST_OF_A_SCOPE, MOST_OF_A_SCOPE))
        )
        with reading(self._engine, scope.tenant_id) as connection:
            return [[_hit(row) for row in connection.execute(statement)]]

    def get(self, vector_id: str) -> Hit | None:
        """Return one memory of one tenant, or None."""
        with reading(self._engine, unqualified(vector_id)[0]) as connection:
            row = connection.execute(select(*_SHOWN).where(_one(vector_id))).one_or_none()
        return None if row is None else _hit(row)

    def update(self, vector_id: str, vector: Vector | None = None, payload: Mapping[str, Any] | None = None) -> None:
        """Replace text and vector of one memory; raise `NotFoundError` where it has gone meanwhile."""
        if vector is None or payload is None:
            raise ConfigError("A memory's text and its vector change together")
        statement = update(memories).where(_one(vector_id)).values(self._changing(vector, payload))
        self._change_one(statement, vector_id)

    def delete(self, vector_id: str) -> None:
        """Delete one memory; raise `NotFoundError` where it has gone meanwhile."""
        self._change_one(delete(memories).where(_one(vector_id)), vector_id)

    def create_col(self, name: str, vector_size: int, distance: str) -> None:
        """Do nothing: the table comes from the migrations."""

    def list_cols(self) -> list[str]:  # type: ignore[valid-type]  # `list` is Mem0's name for a method here
        """Name the table."""
        return [memories.name]

    def col_info(self) -> dict[str, Any]:
        """Tell what the collection is."""
        return {"name": memories.name, "embedder": self._embedder}

    def delete_col(self) -> None:
        """Refuse: the table holds the memories of all tenants."""
        raise ConfigError("The memories of all tenants are never dropped at once; delete them one by one")

    reset = delete_col

    def _changing(self, vector: Vector, payload: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "text": payload["data"],
            "payload": json.dumps({key: value for key, value in payload.items() if key not in _COLUMNS}),
            "vector": pack(vector),
            "embedder": self._embedder,
            "updated_at": db_now(),
        }

    def _change_one(self, statement: Any, vector_id: str) -> None:
        with single(self._engine, unqualified(vector_id)[0]) as connection:
            if connection.execute(statement).rowcount != 1:
                raise not_found(unqualified(vector_id)[1])


def _scope_of(filters: Mapping[str, Any] | None) -> Scope:
    """Return the one scope that is meant; a filter of any other form is refused, never widened."""
    if filters is None or set(filters) != {"user_id"} or not isinstance(filters["user_id"], str):
        raise ConfigError(f"Memories are searched by one scope, not by the filters {sorted(filters or ())}")
    return Scope.parse(filters["user_id"])


def _of_scope(scope: Scope) -> ColumnElement[bool]:
    return and_(memories.c.tenant_id == scope.tenant_id, memories.c.user_key == scope.user_key)


def _one(vector_id: str) -> ColumnElement[bool]:
    tenant_id, id = unqualified(vector_id)
    return and_(memories.c.tenant_id == tenant_id, memories.c.id == id)


def _hit(row: Row[*tuple[Any, ...]], score: float | None = None) -> Hit:
    payload = json.loads(row.payload) | {
        "data": row.text,
        "user_id": Scope(row.tenant_id, row.user_key).key,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
    return Hit(qualified(row.tenant_id, row.id), score, payload)
