"""Mem0 behind our protocol, with every part that touches the outside replaced by one of ours.

The wiring makes one `Mem0Memories` for each process through `mem0_memories`. Mem0's own filters are no wall between
tenants: the scope is made here, results are checked against it, and an id is looked up within its tenant before Mem0
gets it. Mem0 is imported and built at the first call; it never reaches the network, the home directory, or a
database of its own.
"""

from __future__ import annotations

import copy
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Engine

from celeriac.errors import ConfigError
from celeriac.platform.memory.embedder import Embedder, embedder
from celeriac.platform.memory.memory import Remembered
from celeriac.platform.memory.scope import (
    MOST_OF_A_SCOPE,
    Scope,
    accepted,
    accepted_query,
    accepted_text,
    not_found,
    qualified,
    unqualified,
)
from celeriac.platform.memory.sql_vectors import MEMORY_ID, SqlVectors
from celeriac.platform.memory.vectors import Vector
from celeriac.platform.models.key_choice import KeyLookUp


def mem0_memories(
    engine: Engine,
    embedder_name: str,
    most: Callable[[str], int | None] = lambda _: None,
    choose_key: KeyLookUp | None = None,
) -> Mem0Memories:
    """Return the memories in this database, found by the embedder that the setting names; loads nothing heavy yet.

    `most` tells how many memories a tenant may have; None: any number. `choose_key` tells whose key its texts are
    embedded with; None: the environment's.
    """
    return Mem0Memories(engine, embedder(embedder_name, choose_key), most)


class Mem0Memories:
    """`Memories` kept by Mem0; safe for threads. Statements are stored as they are, no model rewrites them."""

    def __init__(self, engine: Engine, embedder: Embedder, most: Callable[[str], int | None] = lambda _: None) -> None:
        """Hold the parts; Mem0 is built at the first call, so that no fork comes after it."""
        self._embedder = embedder
        self._vectors = SqlVectors(engine, embedder.name, most)
        self._building = threading.Lock()
        self._built: Any = None

    def warm(self) -> None:
        self._shared()

    def add(
        self, tenant_id: str, user: str, statements: str | Sequence[str], *, idempotency_key: str | None = None
    ) -> list[Remembered]:
        scope = Scope.of(tenant_id, user)
        found = (self._add(scope, text, scope.new_id(text, idempotency_key)) for text in accepted(statements))
        return [_remembered(item) for item in found if item is not None]

    def search(self, tenant_id: str, user: str, query: str, limit: int) -> list[Remembered]:
        scope, query = Scope.of(tenant_id, user), accepted_query(query, limit)
        if not query:
            return []
        found = self._mem0(tenant_id).search(query, filters={"user_id": scope.key}, top_k=limit, threshold=0.0)
        return _within(scope, found)

    def update(self, tenant_id: str, id: str, text: str, *, user: str | None = None) -> Remembered:
        vector_id, text = self._owned(tenant_id, id, user), accepted_text(text)
        mem0 = self._mem0(tenant_id)
        mem0.update(vector_id, text=text)
        if (item := mem0.get(vector_id)) is None:
            raise not_found(id)
        return _remembered(item)

    def delete(self, tenant_id: str, id: str, *, user: str | None = None) -> None:
        vector_id = self._owned(tenant_id, id, user)
        try:
            self._mem0(tenant_id).delete(vector_id)
        except ValueError as error:  # how Mem0 says that somebody else has just deleted it
            raise not_found(id) from error

    def all(self, tenant_id: str, user: str) -> list[Remembered]:
        scope = Scope.of(tenant_id, user)
        return _within(scope, self._mem0(tenant_id).get_all(filters={"user_id": scope.key}, top_k=MOST_OF_A_SCOPE))

    def _add(self, scope: Scope, text: str, id: str) -> Mapping[str, Any] | None:
        mem0 = self._mem0(scope.tenant_id)
        mem0.add(text, user_id=scope.key, metadata={MEMORY_ID: id}, infer=False)
        item: Mapping[str, Any] | None = mem0.get(qualified(scope.tenant_id, id))
        return item

    def _owned(self, tenant_id: str, id: str, user: str | None) -> str:
        """Return the vector id of a memory that is this tenant's, and this user's where one is given."""
        vector_id = qualified(tenant_id, id)
        hit = self._vectors.get(vector_id)
        if hit is None or (user is not None and hit.payload["user_id"] != Scope.of(tenant_id, user).key):
            raise not_found(id)
        return vector_id

    def _mem0(self, tenant_id: str) -> Any:
        """Return Mem0 as it works for one tenant: it tells the embedder nothing of whom it embeds for."""
        mine = copy.copy(self._shared())
        mine.embedding_model = _Mem0Embedder(self._embedder, tenant_id)
        return mine

    def _shared(self) -> Any:
        if self._built is None:
            with self._building:
                if self._built is None:
                    self._built = _build(self._vectors)
        return self._built


class _Mem0Embedder:
    """Our embedder in Mem0's shape, for one tenant."""

    def __init__(self, embedder: Embedder, tenant_id: str) -> None:
        self._embedder, self._tenant_id = embedder, tenant_id

    def embed(self, text: str, memory_action: str | None = None) -> Vector:
        return self.embed_batch([text])[0]

    def embed_batch(self, texts: Sequence[str], memory_action: str = "add") -> list[Vector]:
        return self._embedder.embed(texts, tenant_id=self._tenant_id)


class _NoModel:
    """Stands where Mem0 keeps its model: with `infer=False` it is never asked."""

    def generate_response(self, *_: Any, **__: Any) -> NoReturn:
        raise ConfigError("Memories are stored as they are; no model is configured to rewrite them")


class _NoHistory:
    """Stands where Mem0 keeps every old text for ever: a memory that is deleted has to be gone."""

    def add_history(self, *_: Any, **__: Any) -> None: ...

    def batch_add_history(self, *_: Any, **__: Any) -> None: ...

    def save_messages(self, *_: Any, **__: Any) -> None: ...

    def get_history(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def get_last_messages(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def reset(self) -> None: ...

    def close(self) -> None: ...


def _build(vectors: SqlVectors) -> Any:
    """Make a Mem0 `Memory` out of our parts, without its constructor, which would connect to its defaults.

    It has no embedder yet: each tenant has its own.
    """
    mem0 = _import_mem0()
    from mem0.configs.base import MemoryConfig

    memory = object.__new__(mem0.Memory)
    memory.config = MemoryConfig()
    memory.vector_store = vectors
    memory.llm = _NoModel()
    memory.db = _NoHistory()
    memory.collection_name = "memories"
    memory.api_version = memory.config.version
    memory.custom_instructions = None
    memory.reranker = None
    memory._entity_store = None
    return memory


def _import_mem0() -> Any:
    """Import Mem0 with its telemetry off; the folder that it wants at import is gone afterwards."""
    os.environ["MEM0_TELEMETRY"] = "False"
    outer = os.environ.get("MEM0_DIR")
    with tempfile.TemporaryDirectory(prefix="celeriac-mem0-") as folder:
        os.environ["MEM0_DIR"] = outer or folder
        import mem0
        from mem0.utils import spacy_models

        if outer is None:
            del os.environ["MEM0_DIR"]
    # Where spaCy happens to be installed, Mem0 would download a language model at the first add.
    spacy_models._load_failed_full = spacy_models._load_failed_lemma = True
    logging.getLogger("mem0").setLevel(logging.WARNING)  # below, it logs the texts of memories
    return mem0


def _within(scope: Scope, found: Mapping[str, Any]) -> list[Remembered]:
    return [_remembered(item) for item in found["results"] if item.get("user_id") == scope.key]


def _remembered(item: Mapping[str, Any]) -> Remembered:
    return Remembered(
        id=unqualified(item["id"])[1],
        text=item["memory"],
        score=item.get("score"),
        created_at=datetime.fromisoformat(item["created_at"]),
    )
