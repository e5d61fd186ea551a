"""Requests that come at the same time: one transaction for all of them, and an answer for each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from celeriac import Event
from celeriac.errors import ConflictError, StoreUnavailable
from celeriac.platform.durable.group_ingest import GroupIngest
from celeriac.platform.durable.store import Accepted, Ingested
from waiting import wait_until


class SlowStore:
    """Keeps the first group until it is let go, so that those who come meanwhile stand in line."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.refused: dict[str, Exception] = {}
        self.is_open = threading.Event()

    def ingest(self, tenant_id: str, events: Sequence[Event], most_queued: int | None) -> Ingested:
        names = [event.name for event in events]
        self.groups.append(names)
        assert self.is_open.wait(10)
        for name in names:
            if name in self.refused:
                raise self.refused[name]
        return Ingested(accepted=[Accepted(id=f"{tenant_id}/{name}", name=name) for name in names])


def take_together(store: SlowStore, requests: Sequence[Sequence[str]]) -> list[Future[list[Accepted]]]:
    """Send the first request, the others in their order while it is kept, and then let all go."""
    group, threads = GroupIngest(store.ingest, lambda _: None), ThreadPoolExecutor(len(requests))
    answers = []
    for number, names in enumerate(requests):
        answers.append(threads.submit(group.take, "ten_a", [Event(name) for name in names]))
        wait_until(
            lambda number=number: store.groups and len(group._lines["ten_a", None]) == number + 1,
            what="the request to stand in line",
        )
    store.is_open.set()
    threads.shutdown(wait=True)
    return answers


def test_requests_that_come_meanwhile_go_together() -> None:
    """The second group has all that came while the first one was stored, and each gets its own answers."""
    store = SlowStore()
    answers = take_together(store, [["a"], ["b", "c"], ["d"]])
    assert store.groups == [["a"], ["b", "c", "d"]]
    assert [[one.id for one in answer.result()] for answer in answers] == [
        ["ten_a/a"],
        ["ten_a/b", "ten_a/c"],
        ["ten_a/d"],
    ]


def test_a_request_that_fails_fails_alone() -> None:
    """Its neighbours are stored without it."""
    store = SlowStore()
    store.refused["b"] = ConflictError("no")
    _, bad, good = take_together(store, [["a"], ["b"], ["c"]])
    with pytest.raises(ConflictError):
        bad.result()
    assert [one.name for one in good.result()] == ["c"]


def test_all_who_stand_in_line_are_told_that_the_database_is_away() -> None:
    """Nobody waits for it a second time."""
    store = SlowStore()
    store.refused["a"] = StoreUnavailable("away")
    for answer in take_together(store, [["a"], ["b"], ["c"]]):
        with pytest.raises(StoreUnavailable):
            answer.result()
    assert store.groups == [["a"]]


def test_a_group_has_its_size() -> None:
    """What is too much for one group is the next one."""
    store = SlowStore()
    take_together(store, [["a"], ["b"] * 400, ["c"] * 400])
    assert [len(group) for group in store.groups] == [1, 400, 400]


def test_whoever_is_torn_out_leaves_nobody_waiting() -> None:
    """A thread that ends in the middle of storing answers for those behind it."""
    store = SlowStore()
    store.refused["a"] = KeyboardInterrupt()  # type: ignore[assignment]  # what ends a thread from outside
    first, second = take_together(store, [["a"], ["b"]])
    with pytest.raises(KeyboardInterrupt):
        first.result()
    assert [one.name for one in second.result()] == ["b"]


def test_tenants_do_not_wait_for_one_another() -> None:
    """While one tenant's request is stored, another's is stored as well."""
    store = SlowStore()
    group, threads = GroupIngest(store.ingest, lambda _: None), ThreadPoolExecutor(2)
    answers = [threads.submit(group.take, tenant, [Event("a")]) for tenant in ("ten_a", "ten_b")]
    wait_until(lambda: len(store.groups) == 2, what="both to be stored at once")
    store.is_open.set()
    threads.shutdown(wait=True)
    assert [answer.result()[0].id for answer in answers] == ["ten_a/a", "ten_b/a"]


def test_who_is_left_without_an_answer_gets_no_other_requests() -> None:
    """Whoever leads is torn out while it stores one by one what failed together."""
    store = SlowStore()
    store.refused["b"] = ConflictError("not this one")
    alone = store.ingest

    def ingest(tenant_id: str, events: Sequence[Event], most_queued: int | None) -> Ingested:
        if [event.name for event in events] == ["d"]:
            raise SystemExit
        return alone(tenant_id, events, most_queued)

    store.ingest = ingest  # type: ignore[method-assign]
    first, second, third, fourth = take_together(store, [["a"], ["c"], ["b"], ["d"]])
    assert [one.id for one in first.result()] == ["ten_a/a"]
    with pytest.raises(SystemExit):
        second.result()
    with pytest.raises(ConflictError):
        third.result()
    with pytest.raises(StoreUnavailable, match="send it again"):
        fourth.result()
