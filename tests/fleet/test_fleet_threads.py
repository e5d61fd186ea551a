"""Threads on real workers: two runs of one thread, a worker that is killed between turns, and seals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from celeriac.platform.agents.threads import Entry
from fleet.worker_fleet import Fleet
from waiting import wait_until


@pytest.fixture
def chat(tmp_path: Path, database_url: str) -> Iterator[Fleet]:
    """A fleet without workers yet, on each database."""
    crashes = str(tmp_path / "crashed")
    with Fleet(tmp_path, database_url, app="fleet.chat_app:app", FLEET_CRASHES=crashes) as fleet:
        yield fleet


def entries(fleet: Fleet, tenant: str, thread: str = "t") -> list[Entry]:
    return fleet.rooms.threads.entries(tenant, thread, last=99)


def test_runs_that_are_started_at_once_in_one_thread_come_one_after_the_other(chat: Fleet) -> None:
    """Each is given all that the ones before it said; another tenant's thread of the same id knows nothing of it."""
    ours, theirs = chat.tenant("ours"), chat.tenant("theirs")
    chat.start_two()
    said = [{"input": {"id": f"m{n}", "content": f"said {n}"}, "thread_id": "t"} for n in range(6)]
    events = chat.send_all(ours, "chat/said", said)
    other = chat.send(theirs, "chat/said", input="Hi", thread_id="t")
    answers = sorted(int(chat.ended(ours, event).output["text"]) for event in events)
    assert answers == [1, 3, 5, 7, 9, 11]
    assert chat.ended(theirs, other).output["text"] == "1"
    kept = entries(chat, ours)
    assert [(one.kind, one.seq) for one in kept] == [(("user", "agent")[n % 2], n + 1) for n in range(12)]
    assert [one.data["output"] for one in kept[1::2]] == ["1", "3", "5", "7", "9", "11"]


def test_a_worker_that_is_killed_in_the_third_turn_leaves_two_in_the_thread(chat: Fleet) -> None:
    """W11, and W7: the next worker goes on from them, and keeps nothing twice."""
    tenant, doomed = chat.tenant(), chat.start()
    event = chat.send(tenant, "chat/said", input={"id": "m1", "content": "crash"}, thread_id="t")
    wait_until(lambda: not doomed.is_running, 20, "the worker to die")
    before = entries(chat, tenant)
    assert [(one.id == "m1", one.kind, one.agent) for one in before] == [
        (True, "user", None),
        (False, "agent", "Clerk"),
        (False, "agent", "Clerk"),
    ]
    chat.start()
    run = chat.ended(tenant, event, timeout=30)
    assert run.status == "completed"
    after = entries(chat, tenant)
    assert after[:3] == before
    assert [one.id for one in after[1:]] == [result["id"] for result in run.output["results"]]


def test_a_result_that_one_worker_gave_out_is_taken_back_by_another(chat: Fleet) -> None:
    tenant, first = chat.tenant(), chat.start()
    given = chat.ended(tenant, chat.send(tenant, "chat/said", input="Hi")).output
    assert first.stop() == 0
    chat.start()
    again = {"input": "Again", "thread_id": given["thread_id"]}
    good = chat.send(tenant, "chat/said", **again, history=given["results"])
    assert chat.ended(tenant, good).output["text"] == "2"
    stranger = chat.tenant("stranger")
    stolen = chat.ended(stranger, chat.send(stranger, "chat/said", **again, history=given["results"]))
    assert (stolen.error or {})["code"] == "invalid_event"
    assert entries(chat, stranger, given["thread_id"]) == []


def test_a_tenant_begins_no_more_threads_than_it_may(chat: Fleet) -> None:
    tenant = chat.tenant(threads=1)
    chat.start()
    [first, again, second] = [
        chat.ended(tenant, chat.send(tenant, "chat/said", input="Hi", thread_id=thread)) for thread in "aab"
    ]
    assert (first.status, again.status, second.status) == ("completed", "completed", "failed")
    assert "limit 'threads'" in (second.error or {})["message"]
