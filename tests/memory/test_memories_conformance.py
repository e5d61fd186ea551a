"""What every implementation of `Memories` promises: the twin, and Mem0 on SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celeriac.errors import ConfigError, LimitError, NotFoundError
from celeriac.platform.codec import Uncodable
from celeriac.platform.memory.memory import Memories, Remembered
from celeriac.platform.memory.scope import LONGEST_TEXT, MOST_AT_ONCE

FACTS = [
    "Ann lost her debit card in Lisbon in May",
    "Ann asked why a transfer to her landlord was still pending",
    "Ann prefers answers by e-mail, in short sentences",
]


def texts(found: list[Remembered]) -> list[str]:
    return [memory.text for memory in found]


def test_what_was_added_is_found_again(memories: Memories) -> None:
    [added] = memories.add("ten_a", "ann", FACTS[0])
    [found] = memories.search("ten_a", "ann", "debit card", 5)
    assert (found.id, found.text, found.created_at) == (added.id, FACTS[0], added.created_at)


def test_a_memory_knows_when_it_was_made(memories: Memories) -> None:
    [added] = memories.add("ten_a", "ann", FACTS[0])
    assert abs(datetime.now(UTC) - added.created_at) < timedelta(minutes=1)


def test_recall_finds_the_memory_with_the_nearest_words(memories: Memories) -> None:
    memories.add("ten_a", "ann", FACTS)
    for query, nearest in zip(["a card that is lost", "pending transfers", "SHORT answers?"], FACTS, strict=True):
        assert memories.search("ten_a", "ann", query, 1)[0].text == nearest


def test_results_come_nearest_first_and_within_the_limit(memories: Memories) -> None:
    memories.add("ten_a", "ann", FACTS)
    found = memories.search("ten_a", "ann", FACTS[1], 2)
    scores = [memory.score or 0.0 for memory in found]
    assert len(found) == 2
    assert 1.0 >= scores[0] > scores[1] >= 0.0
    assert scores[0] == pytest.approx(1.0, abs=1e-5)


def test_the_same_statement_under_the_same_key_is_one_memory(memories: Memories) -> None:
    """A step that is tried again after a late crash must not double what it wrote."""
    first = memories.add("ten_a", "ann", FACTS[:2], idempotency_key="run_1")
    again = memories.add("ten_a", "ann", FACTS, idempotency_key="run_1")
    assert again[:2] == first
    assert sorted(texts(memories.all("ten_a", "ann"))) == sorted(FACTS)


def test_another_key_makes_another_memory_and_no_key_is_a_key(memories: Memories) -> None:
    for key in ("run_1", "run_2", None, None):
        memories.add("ten_a", "ann", FACTS[0], idempotency_key=key)
    assert len(memories.all("ten_a", "ann")) == 3


def test_all_lists_the_newest_first(memories: Memories) -> None:
    for fact in FACTS:
        memories.add("ten_a", "ann", fact)
    assert texts(memories.all("ten_a", "ann")) == FACTS[::-1]


def test_an_update_changes_what_is_found_and_keeps_the_id(memories: Memories) -> None:
    [added] = memories.add("ten_a", "ann", FACTS[0])
    updated = memories.update("ten_a", added.id, "Ann moved to Porto")
    assert (updated.id, updated.text, updated.created_at) == (added.id, "Ann moved to Porto", added.created_at)
    assert texts(memories.all("ten_a", "ann")) == ["Ann moved to Porto"]
    assert (memories.search("ten_a", "ann", "moved to Porto", 1)[0].score or 0) > 0.9


def test_a_retried_add_leaves_a_later_update_alone(memories: Memories) -> None:
    [added] = memories.add("ten_a", "ann", FACTS[0], idempotency_key="run_1")
    memories.update("ten_a", added.id, "Ann found her card")
    [again] = memories.add("ten_a", "ann", FACTS[0], idempotency_key="run_1")
    assert again.text == "Ann found her card"


def test_a_deleted_memory_is_gone(memories: Memories) -> None:
    [first, second] = memories.add("ten_a", "ann", FACTS[:2])
    memories.delete("ten_a", first.id)
    assert texts(memories.all("ten_a", "ann")) == [second.text]
    assert texts(memories.search("ten_a", "ann", FACTS[0], 5)) == [second.text]
    with pytest.raises(NotFoundError):
        memories.delete("ten_a", first.id)
    with pytest.raises(NotFoundError):
        memories.update("ten_a", first.id, "again")


def test_a_user_of_whom_nothing_is_known_has_no_memories(memories: Memories) -> None:
    assert memories.search("ten_a", "nobody", "anything", 5) == []
    assert memories.all("ten_a", "nobody") == []


def test_blank_statements_and_blank_queries_say_nothing(memories: Memories) -> None:
    assert texts(memories.add("ten_a", "ann", ["", "  ", f"  {FACTS[0]} ", FACTS[0]])) == [FACTS[0]]
    assert memories.search("ten_a", "ann", "  ", 5) == []


def test_any_text_is_kept_as_it_is(memories: Memories) -> None:
    for text in ("Müller wünscht Überweisungen 💶", "私はベルリンに住んでいます", "100%_'\"; DROP TABLE"):
        memories.add("ten_a", "ann", text)
        assert texts(memories.search("ten_a", "ann", text, 1)) == [text]


def test_statements_that_cannot_be_kept_are_refused(memories: Memories) -> None:
    refused: list[tuple[Any, type[Exception]]] = [
        ("x" * (LONGEST_TEXT + 1), LimitError),
        (["x"] * (MOST_AT_ONCE + 1), LimitError),
        (["whole", "a NUL \x00 inside"], Uncodable),
        ("half a character \ud800", Uncodable),
        (["whole", {"text": "no text"}], ConfigError),
    ]
    for statements, error in refused:
        with pytest.raises(error):
            memories.add("ten_a", "ann", statements)
    assert memories.all("ten_a", "ann") == []


def test_a_limit_out_of_range_is_refused(memories: Memories) -> None:
    limits: list[Any] = [0, -1, MOST_AT_ONCE + 1, True, "5"]
    for limit in limits:
        with pytest.raises(ConfigError, match="limit"):
            memories.search("ten_a", "ann", "card", limit)


def test_the_longest_text_is_kept(memories: Memories) -> None:
    text = ("word " * LONGEST_TEXT)[:LONGEST_TEXT].strip()
    assert texts(memories.add("ten_a", "ann", text)) == [text]
