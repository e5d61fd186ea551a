"""What runs tell on real workers: numbered in Redis, and taken back where a worker dies in the middle of a reply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from celeriac import Chunk
from celeriac.platform.streams.reading import read_chunks
from fleet.worker_fleet import Fleet
from waiting import wait_until


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet without workers whose model stops in its second reply."""
    with Fleet(tmp_path, app="fleet.talking_app:app") as fleet:
        (tmp_path / "pause").touch()
        yield fleet


def told(fleet: Fleet, tenant: str, event: str) -> list[Chunk]:
    """Return what the event's run has told up to now."""
    runs = fleet.rooms.reads.event_runs(tenant, event)
    return read_chunks(fleet.rooms.stream, runs[0]) if runs else []


def said(chunks: list[Chunk]) -> list[str]:
    """Return the pieces of text among the chunks."""
    return [chunk.data["delta"] for chunk in chunks if chunk.event == "text.delta"]


def told_to_the_end(fleet: Fleet, tenant: str, event: str) -> list[Chunk]:
    """Wait for the last word, which may come a moment after the run's end, and return all."""
    fleet.ended(tenant, event)
    wait_until(lambda: told(fleet, tenant, event)[-1].event == "stream.ended", 5, "the last word")
    return told(fleet, tenant, event)


def test_a_reply_that_its_worker_did_not_survive_is_taken_back(fleet: Fleet, tmp_path: Path) -> None:
    tenant, first = fleet.tenant(), fleet.start()
    event = fleet.send(tenant, "talking/begun", input="Go")
    wait_until(lambda: "tw" in said(told(fleet, tenant, event)), 20, "half of the second reply")
    first.kill()
    before = told(fleet, tenant, event)
    (tmp_path / "pause").unlink()
    fleet.start()
    chunks = told_to_the_end(fleet, tenant, event)
    assert chunks[: len(before)] == before
    assert [chunk.sequence_number for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    after = [chunk for chunk in chunks[len(before) :] if chunk.event.startswith("part")]
    assert [chunk.event for chunk in after] == ["part.failed", "part.created", "part.completed"]
    assert after[0].data["partId"] == before[-1].data["partId"] != after[1].data["partId"]
    assert (after[0].data["recoverable"], after[2].data["finalContent"]) == (True, "two")


def test_a_cancelled_run_is_closed_by_its_worker(fleet: Fleet) -> None:
    tenant, _ = fleet.tenant(), fleet.start()
    event = fleet.send(tenant, "talking/begun", input="Go")
    wait_until(lambda: "tw" in said(told(fleet, tenant, event)), 20, "half of the second reply")
    fleet.rooms.store.cancel(tenant, fleet.run_of(tenant, event).id)
    chunks = told_to_the_end(fleet, tenant, event)
    assert [chunk.event for chunk in chunks[-4:]] == [
        *("part.failed", "run.interrupted", "run.interrupted", "stream.ended")
    ]
    assert {chunk.data["reason"] for chunk in chunks[-3:-1]} == {"cancelled"}


def test_a_worker_that_leaves_has_told_all(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "pause").unlink()
    tenant, worker = fleet.tenant(), fleet.start()
    event = fleet.send(tenant, "talking/begun", input="Go")
    run = fleet.ended(tenant, event)
    assert worker.stop() == 0, worker.log
    assert told(fleet, tenant, event)[-1].event == "stream.ended"
    keys = [key for key in fleet.redis.scan_iter() if run.id in key]
    assert len(keys) == 2 and all(fleet.redis.pttl(key) > 0 for key in keys)
