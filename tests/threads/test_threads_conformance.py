"""What every implementation of `Threads` promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from celeriac.errors import LimitError, NotFoundError
from celeriac.platform.agents.threads import Entry, Threads


def user(id: str, text: str = "Hi") -> Entry:
    return Entry(id=id, kind="user", data={"role": "user", "text": text}, checksum="c1")


def agent(id: str, **data: Any) -> Entry:
    return Entry(id=id, kind="agent", agent="A", data={"messages": [], **data}, checksum="c2")


def ids(threads: Threads, tenant: str = "ten_a", thread: str = "t", last: int = 100, **options: Any) -> list[str]:
    return [one.id for one in threads.entries(tenant, thread, last=last, **options)]


def test_what_is_kept_comes_back_as_it_was_in_the_order_of_its_keeping(threads: Threads) -> None:
    threads.open("ten_a", "t")
    threads.append("ten_a", "t", [user("z")])
    threads.append("ten_a", "t", [agent("b", n=1.5, text="ü"), agent("a")])
    found = threads.entries("ten_a", "t", last=100)
    assert [(one.id, one.seq) for one in found] == [("z", 1), ("b", 2), ("a", 3)]
    assert (found[1].kind, found[1].agent, found[1].checksum) == ("agent", "A", "c2")
    assert found[1].data == {"messages": [], "n": 1.5, "text": "ü"}


def test_what_is_kept_again_stays_as_it_was_and_where_it_was(threads: Threads) -> None:
    threads.open("ten_a", "t")
    threads.append("ten_a", "t", [user("m1", "first"), agent("r1")])
    threads.append("ten_a", "t", [user("m1", "other"), agent("r2"), agent("r2")])
    found = threads.entries("ten_a", "t", last=100)
    assert [(one.id, one.seq) for one in found] == [("m1", 1), ("r1", 2), ("r2", 3)]
    assert found[0].data["text"] == "first"


def test_the_newest_are_read_and_those_before_a_place(threads: Threads) -> None:
    threads.open("ten_a", "t")
    threads.append("ten_a", "t", [user(f"m{n}") for n in range(1, 8)])
    assert ids(threads, last=2) == ["m6", "m7"]
    assert ids(threads, last=2, before=6) == ["m4", "m5"]
    assert ids(threads, last=9, before=2) == ["m1"]
    assert ids(threads, last=9, before=1) == []


def test_the_same_id_is_another_thread_for_each_tenant(threads: Threads) -> None:
    threads.open("ten_a", "t")
    threads.append("ten_a", "t", [user("m1", "secret")])
    assert ids(threads, "ten_b") == []
    with pytest.raises(NotFoundError):
        threads.append("ten_b", "t", [user("m2")])
    threads.open("ten_b", "t")
    threads.append("ten_b", "t", [user("m1", "mine")])
    assert [one.data["text"] for one in threads.entries("ten_b", "t", last=9)] == ["mine"]
    assert [one.data["text"] for one in threads.entries("ten_a", "t", last=9)] == ["secret"]


def test_a_thread_that_nobody_made_is_empty_and_takes_nothing(threads: Threads) -> None:
    assert ids(threads, thread="nowhere") == []
    with pytest.raises(NotFoundError, match="nowhere"):
        threads.append("ten_a", "nowhere", [user("m1")])
    assert ids(threads, thread="nowhere") == []


def test_a_thread_is_made_once(threads: Threads) -> None:
    threads.open("ten_a", "t", user_id="ann")
    threads.append("ten_a", "t", [user("m1")])
    threads.open("ten_a", "t", user_id="bob")
    assert ids(threads) == ["m1"]


def test_a_tenant_has_no_more_threads_than_it_may(threads: Threads) -> None:
    for thread in ("one", "two", "one"):
        threads.open("ten_small", thread)
    with pytest.raises(LimitError, match="2 threads") as refused:
        threads.open("ten_small", "three")
    assert refused.value.code == "quota_exceeded"
    threads.open("ten_a", "three")
    threads.open("ten_small", "two")


def test_many_at_once_have_each_a_place_of_its_own(threads: Threads) -> None:
    def talk(number: int) -> None:
        threads.open("ten_a", "t")
        for said in range(5):
            threads.append("ten_a", "t", [user(f"m{number}:{said}"), agent(f"r{number}:{said}")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(talk, range(8)))
    found = threads.entries("ten_a", "t", last=1000)
    assert [one.seq for one in found] == list(range(1, 81))
    assert [one.id for one in found if one.id.startswith("m3")] == [f"m3:{said}" for said in range(5)]


def test_of_many_that_are_made_at_once_no_more_are_made_than_may_be(threads: Threads) -> None:
    def is_made(number: int) -> bool:
        try:
            threads.open("ten_small", f"t{number}")
        except LimitError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(is_made, range(12))) == 2


def test_data_that_is_changed_after_it_was_kept_changes_nothing(threads: Threads) -> None:
    threads.open("ten_a", "t")
    data = {"role": "user", "text": "said"}
    threads.append("ten_a", "t", [Entry(id="m", kind="user", data=data, checksum="")])
    data["text"] = "changed"
    assert threads.entries("ten_a", "t", last=1)[0].data["text"] == "said"


def test_a_thread_that_is_deleted_leaves_nothing_behind(threads: Threads) -> None:
    for tenant in ("ten_a", "ten_b"):
        threads.open(tenant, "t")
        threads.append(tenant, "t", [user("m1"), agent("r1")])
    threads.delete("ten_a", "t")
    with pytest.raises(NotFoundError):
        threads.delete("ten_a", "t")
    assert (ids(threads), ids(threads, "ten_b")) == ([], ["m1", "r1"])
    threads.open("ten_a", "t")
    threads.append("ten_a", "t", [agent("r1")])
    assert [(one.id, one.seq) for one in threads.entries("ten_a", "t", last=9)] == [("r1", 1)]


def test_a_thread_of_another_tenant_cannot_be_deleted(threads: Threads) -> None:
    threads.open("ten_b", "theirs")
    with pytest.raises(NotFoundError, match="theirs"):
        threads.delete("ten_a", "theirs")
    threads.append("ten_b", "theirs", [user("m1")])


def test_deleting_a_thread_makes_room_for_another(threads: Threads) -> None:
    for thread in ("one", "two"):
        threads.open("ten_small", thread)
    threads.delete("ten_small", "one")
    threads.open("ten_small", "three")
    with pytest.raises(LimitError):
        threads.open("ten_small", "one")
