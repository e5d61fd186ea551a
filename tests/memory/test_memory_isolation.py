"""No way leads from one tenant, or one user, to the memories of another."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac.database import connect
from celeriac.errors import ConfigError, NotFoundError
from celeriac.ids import new_id
from celeriac.platform.memory.memory import Memories
from celeriac.platform.memory.scope import Scope
from celeriac.platform.memory.sql_vectors import SqlVectors

SECRET = "The safe's code is 4711"

#: user ids that some store might read as more than a name
GREEDY = ["*", "%", "_nn", "ann ", " ann", "Ann", "ann\n", "ann%", "a::ann", "ten_a::ann", "ann' OR '1'='1", "ann\x00"]


@pytest.fixture
def secret_id(memories: Memories) -> str:
    """The id of a memory of ann, a user of tenant a."""
    return memories.add("ten_a", "ann", SECRET)[0].id


def test_the_same_user_name_in_another_tenant_is_somebody_else(memories: Memories, secret_id: str) -> None:
    assert memories.search("ten_b", "ann", SECRET, 5) == []
    assert memories.all("ten_b", "ann") == []


def test_a_user_id_is_only_ever_a_name(memories: Memories, secret_id: str) -> None:
    for user in GREEDY:
        assert memories.search("ten_a", user, SECRET, 5) == [], user
        assert memories.all("ten_a", user) == [], user
        assert memories.add("ten_a", user, SECRET)[0].id != secret_id
    assert len(memories.all("ten_a", "ann")) == 1


def test_what_is_no_user_id_is_refused(memories: Memories) -> None:
    users: list[Any] = ["", "  ", None, 7, {"user_id": "ann"}, ["ann"]]
    for user in users:
        with pytest.raises(ConfigError):
            memories.search("ten_a", user, SECRET, 5)
        with pytest.raises(ConfigError):
            memories.add("ten_a", user, SECRET)


def test_what_is_no_tenant_id_is_refused(memories: Memories) -> None:
    tenants: list[Any] = ["", "*", "ten_a::ann", "ten a", None, "x" * 65]
    for tenant_id in tenants:
        with pytest.raises(ConfigError):
            memories.all(tenant_id, "ann")


def test_an_id_of_another_tenant_is_not_found(memories: Memories, secret_id: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        memories.update("ten_b", secret_id, "overwritten")
    with pytest.raises(NotFoundError):
        memories.delete("ten_b", secret_id)
    assert SECRET not in str(refused.value)
    assert [memory.text for memory in memories.all("ten_a", "ann")] == [SECRET]


def test_an_id_of_another_user_is_not_found_where_the_user_is_known(memories: Memories, secret_id: str) -> None:
    with pytest.raises(NotFoundError):
        memories.update("ten_a", secret_id, "overwritten", user="bob")
    with pytest.raises(NotFoundError):
        memories.delete("ten_a", secret_id, user="bob")
    memories.delete("ten_a", secret_id, user="ann")
    assert memories.all("ten_a", "ann") == []


def test_an_id_that_was_guessed_is_not_found(memories: Memories, secret_id: str) -> None:
    near = [f"ten_a::{secret_id}", f"{secret_id}\x00", f"{secret_id} OR 1=1", secret_id.lower()]
    guesses: list[Any] = ["*", "", "1", "mem_%", new_id("mem"), None, *near]
    for guess in guesses:
        for tenant_id in ("ten_a", "ten_b"):
            with pytest.raises(NotFoundError):
                memories.delete(tenant_id, guess)
    assert len(memories.all("ten_a", "ann")) == 1


def test_the_same_statement_of_two_tenants_is_two_memories(memories: Memories, secret_id: str) -> None:
    [other] = memories.add("ten_b", "ann", SECRET)
    memories.delete("ten_b", other.id)
    assert [memory.id for memory in memories.all("ten_a", "ann")] == [secret_id]


@pytest.mark.parametrize(
    "filters",
    [
        None,
        {},
        {"user_id": "*"},
        {"user_id": {"ne": ""}},
        {"user_id": ["ten_a::ann", "ten_b::ann"]},
        {"OR": [{"user_id": "ten_a::ann"}, {"user_id": "ten_b::ann"}]},
        {"user_id": "ten_a::ann", "OR": []},
        {"agent_id": "x"},
    ],
)
def test_the_vector_store_refuses_every_filter_that_is_not_one_scope(sqlite_url: str, filters: Any) -> None:
    vectors = SqlVectors(connect(sqlite_url), "hashing-512")
    with pytest.raises(ConfigError):
        vectors.search("query", [1.0], filters=filters)
    with pytest.raises(ConfigError):
        vectors.list(filters=filters)


def test_the_vector_store_never_drops_what_belongs_to_all(sqlite_url: str) -> None:
    vectors = SqlVectors(connect(sqlite_url), "hashing-512")
    for drop in (vectors.delete_col, vectors.reset):
        with pytest.raises(ConfigError):
            drop()


def test_two_users_never_share_a_scope() -> None:
    users = [*GREEDY, "ann", "ann@example.com", "~ann", "#ann", "ann\u200b", "x" * 128, "x" * 129, "x" * 130]
    keys = {Scope.of("ten_a", user).key for user in users}
    assert len(keys) == len(users)
    assert all(" " not in key and "*" not in key and key.isprintable() for key in keys)
