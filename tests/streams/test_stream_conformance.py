"""Both streams number what runs tell, tell nothing twice, and take back what does not come to be."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis as redis_client
from stream_program import (
    TENANT,
    begin,
    closed,
    done,
    end,
    events,
    more,
    once,
    opened,
    random_passage,
    read,
    settled,
    told,
)

from celeriac.platform.store.local_stream import LocalStream
from celeriac.platform.store.redis_connection import connect
from celeriac.platform.store.redis_stream import RedisStream
from celeriac.platform.streams.stream import Passage, Stream, StreamUnavailable
from services import free_port
from waiting import wait_until


def test_chunks_are_numbered_from_zero_and_come_back_whole(stream: Stream) -> None:
    [made] = stream.append([told(once("a", text="é\u2028"), once("b", number=1.5))])
    assert [(chunk.sequence_number, chunk.id, chunk.data) for chunk in made] == [
        (0, "a", {"text": "é\u2028"}),
        (1, "b", {"number": 1.5}),
    ]
    assert read(stream) == made


def test_what_was_told_is_not_told_again(stream: Stream) -> None:
    stream.append([told(once("a"), begin("r"))])
    [made] = stream.append([told(once("a"), begin("r"), once("b"))])
    assert [(chunk.id, chunk.sequence_number) for chunk in made] == [("b", 2)]


def test_answers_come_only_where_they_are_wanted(stream: Stream) -> None:
    assert stream.append([Passage(tenant_id=TENANT, run_id="run_1", drafts=[once("a")])]) == [[]]
    assert len(read(stream)) == 1


def test_a_part_is_told_once_live_or_from_its_memo(stream: Stream) -> None:
    live = [opened("m1", "s"), more("m1:text", 0, "he"), more("m1:text", 1, "llo")]
    remembered = [opened("m1", "s"), more("m1:text", 0, "hello"), done("m1:text")]
    stream.append([told(*live), told(*remembered), told(*remembered)])
    assert [chunk.data.get("delta") for chunk in read(stream)] == [None, "he", "llo", None]
    assert events(stream)[-1] == "part.completed"


def test_a_reply_of_another_attempt_supersedes_the_part(stream: Stream) -> None:
    stream.append([told(opened("m1", "s"), more("m1:text", 0))])
    stream.append([told(opened("m2", "s"), more("m1:text", 1), done("m1:text"))])
    assert events(stream) == ["part.created", "text.delta", "part.failed", "part.created"]
    failed = read(stream)[2]
    assert (failed.id, failed.data["partId"], failed.data["recoverable"]) == ("m1:text:failed", "m1:text", True)


def test_parts_of_one_message_stand_beside_each_other(stream: Stream) -> None:
    stream.append([told(opened("m1", "s"), opened("m1", "s", name="call"), opened("m9", "other"))])
    assert events(stream) == ["part.created"] * 3


def test_what_a_reply_does_not_have_after_all_has_failed(stream: Stream) -> None:
    stream.append([told(opened("m1", "s"), opened("m1", "s", name="call"), done("m1:text"), settled("s"))])
    assert [chunk.id for chunk in read(stream)][-2:] == ["m1:text:completed", "m1:call:failed"]


def test_a_run_that_ends_takes_what_is_open_in_it_along(stream: Stream) -> None:
    stream.append([told(begin("n"), begin("a", "n"), opened("m1", "s", "a"))])
    stream.append([told(end("n", "run.failed", error="broken", recoverable=False))])
    last = read(stream)[-3:]
    assert [chunk.event for chunk in last] == ["part.failed", "run.failed", "run.failed"]
    assert [chunk.data["runId"] for chunk in last] == ["a", "a", "n"]
    assert last[1].data["error"] == "broken" and last[1].data["parentRunId"] == "n"


def test_closing_ends_all_runs_from_the_inside_and_the_stream(stream: Stream) -> None:
    stream.append([told(begin("n"), begin("a", "n"), opened("m1", "s", "a"))])
    stream.append([told(closed()), told(closed())])
    assert events(stream)[3:] == ["part.failed", "run.interrupted", "run.interrupted", "stream.ended"]
    assert read(stream)[-1].data == {"scope": "network", "messageId": "m_n"}


def test_closing_what_never_told_leaves_nothing(stream: Stream) -> None:
    stream.append([told(closed())])
    assert read(stream) == []
    assert stream.append([told(once("a"), fence=0)])[0][0].sequence_number == 0


def test_a_link_that_lost_its_run_is_not_heard(stream: Stream) -> None:
    stream.append([told(once("a"), fence=2)])
    assert stream.append([told(once("b"), fence=1), told(once("c"), fence=2)])[0] == []
    assert [chunk.id for chunk in read(stream)] == ["a", "c"]


def test_what_was_told_is_known_by_its_id(stream: Stream) -> None:
    stream.append([told(once("a"), begin("r"))])
    assert stream.told(TENANT, "run_1", ["a", "r:started", "b"]) == [True, True, False]
    assert stream.told("ten_b", "run_1", ["a"]) == [False]


def test_a_channel_has_the_chunks_of_all_its_runs(stream: Stream) -> None:
    stream.append([told(once("a"), channels=("user:1",)), told(once("b"), run_id="run_2", channels=("user:1",))])
    found = stream.read(TENANT, "user:1")
    assert [(one.chunk.id, one.chunk.sequence_number) for one in found] == [("a", 0), ("b", 0)]
    assert [one.chunk.id for one in stream.read(TENANT, "user:1", after=found[0].position)] == ["b"]


def test_reading_goes_on_behind_a_position(stream: Stream) -> None:
    stream.append([told(*[once(str(number)) for number in range(10)])])
    page = stream.read(TENANT, "run:run_1", after=3, limit=2)
    assert [(one.position, one.chunk.id) for one in page] == [(4, "4"), (5, "5")]
    assert stream.read(TENANT, "run:run_1", after=9) == []


def test_another_tenants_stream_is_empty(stream: Stream) -> None:
    stream.append([told(once("a"), channels=("user:1",))])
    assert (stream.read("ten_b", "run:run_1"), stream.read("ten_b", "user:1")) == ([], [])


def test_a_channel_keeps_the_newest_chunks(short_stream: Stream) -> None:
    short_stream.append([told(*[once(str(number)) for number in range(8)], channels=("user:1",))])
    assert [chunk.sequence_number for chunk in read(short_stream)] == [3, 4, 5, 6, 7]
    assert len(short_stream.read(TENANT, "user:1")) == 5
    assert short_stream.append([told(once("0"))]) == [[]]


#: what is told in the tests of bytes: 200 of them each, with event, time and id
_SIZED = [once(str(number), text="x" * 177) for number in range(9)]


@pytest.mark.parametrize("at_once", [9, 2, 1])
def test_a_channel_keeps_the_newest_bytes(small_stream: Stream, at_once: int) -> None:
    for first in range(0, 9, at_once):
        small_stream.append([told(*_SIZED[first : first + at_once], channels=("user:1",))])
    assert [chunk.sequence_number for chunk in read(small_stream)] == [4, 5, 6, 7, 8]
    assert [one.chunk.sequence_number for one in small_stream.read(TENANT, "user:1")] == [4, 5, 6, 7, 8]
    assert small_stream.append([told(*_SIZED)]) == [[]]


def test_a_channel_counts_the_bytes_of_all_who_write_to_it(small_stream: Stream) -> None:
    for draft in _SIZED[:3]:
        small_stream.append([told(draft, run_id=run_id, channels=("thread:t",)) for run_id in ("run_1", "run_2")])
    assert [len(read(small_stream, run_id)) for run_id in ("run_1", "run_2")] == [3, 3]
    assert [one.chunk.id for one in small_stream.read(TENANT, "thread:t")] == ["0", "1", "1", "2", "2"]


def test_one_chunk_that_is_larger_than_all_may_be_stays_alone(small_stream: Stream) -> None:
    small_stream.append([told(*_SIZED[:3]), told(once("large", text="é" * 600))])
    assert [chunk.id for chunk in read(small_stream)] == ["large"]
    small_stream.append([told(_SIZED[4])])
    assert [chunk.id for chunk in read(small_stream)] == ["4"]


def test_many_small_chunks_go_for_a_large_one(small_stream: Stream) -> None:
    small_stream.append([told(*[once(f"{number:02}", n=1) for number in range(45)])])
    small_stream.append([told(once("x", text="x" * 917))])
    assert [chunk.id for chunk in read(small_stream)] == ["42", "43", "44", "x"]


def test_many_who_tell_at_once_leave_no_gap(stream: Stream) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: stream.append([told(once(f"{n}"), once(f"{n % 7}"))]), range(100)))
    chunks = read(stream)
    assert [chunk.sequence_number for chunk in chunks] == list(range(100))
    assert len({chunk.id for chunk in chunks}) == 100


@pytest.mark.parametrize("seed", range(40))
def test_lua_and_its_twin_decide_the_same(seed: int, redis_stream: RedisStream) -> None:
    chance, local = random.Random(seed), LocalStream()
    for _ in range(25):
        passages = [random_passage(chance) for _ in range(chance.randint(1, 3))]
        assert redis_stream.append(passages) == local.append(passages)
    for run_id in ("run_1", "run_2"):
        assert read(redis_stream, run_id) == read(local, run_id)
    for channel in ("thread:t", "user:1"):
        found = [[one.chunk for one in each.read(TENANT, channel)] for each in (redis_stream, local)]
        assert found[0] == found[1]


# -- in Redis alone -------------------------------------------------------------------------------------------------


@pytest.fixture
def client(redis_url: str) -> Iterator[redis_client.Redis]:
    """A look into Redis."""
    with connect(redis_url) as client:
        yield client


def test_every_key_has_a_time_to_live(redis_stream: RedisStream, client: redis_client.Redis) -> None:
    redis_stream.append([told(begin("n"), opened("m1", "s"), channels=("user:1",))])
    keys = list(client.scan_iter())
    assert len(keys) == 3
    assert all(0 < client.pttl(key) <= 300_000 for key in keys)


def test_a_stream_is_gone_after_its_time(client: redis_client.Redis) -> None:
    brief = RedisStream(client, ttl=timedelta(seconds=1))
    brief.append([told(once("a"), channels=("user:1",))])
    assert len(client.keys()) == 3 and [chunk.id for chunk in read(brief)] == ["a"]
    wait_until(lambda: not client.keys(), what="the stream to expire")
    assert read(brief) == []


def test_a_stream_without_its_book_begins_anew(redis_stream: RedisStream, client: redis_client.Redis) -> None:
    redis_stream.append([told(once("a"), once("b"))])
    client.delete(f"cel:book:{TENANT}:run_1")
    redis_stream.append([told(once("c"))])
    assert [(chunk.sequence_number, chunk.id) for chunk in read(redis_stream)] == [(0, "c")]


def test_what_a_version_without_bytes_told_goes_first(client: redis_client.Redis) -> None:
    client.xadd(f"cel:chunks:{TENANT}:user:1", {"e": "data.delta", "d": "{}", "t": "1", "i": "old", "n": 0}, id="1-0")
    small = RedisStream(client, ttl=timedelta(minutes=1), cap_bytes=1_000)
    for draft in _SIZED[:6]:
        small.append([told(draft, channels=("user:1",))])
    assert [one.chunk.id for one in small.read(TENANT, "user:1")] == ["1", "2", "3", "4", "5"]


def test_a_server_that_forgot_the_script_gets_it_again(redis_stream: RedisStream, client: redis_client.Redis) -> None:
    redis_stream.append([told(once("a"))])
    client.script_flush()
    redis_stream.append([told(once("b")), told(once("c"))])
    assert [chunk.id for chunk in read(redis_stream)] == ["a", "b", "c"]


def test_without_redis_it_says_so() -> None:
    with connect(f"redis://127.0.0.1:{free_port()}/0") as client:
        broken = RedisStream(client, ttl=timedelta(minutes=1))
        for ask in (lambda: broken.append([told(once("a"))]), lambda: broken.read(TENANT, "run:run_1")):
            with pytest.raises(StreamUnavailable):
                ask()
