"""The writer brings what is told to the stream in order, puts pieces together, and never holds anybody up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

import pytest
from stream_program import TENANT, begin, end, more, once, opened, read

from celeriac.platform.store.local_stream import LocalStream
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import Draft
from celeriac.platform.streams.stream import Passage, StreamUnavailable
from celeriac.platform.streams.writer import ChunkWriter, Told


class Watched(LocalStream):
    """A stream that counts what it is asked, may be away, and may hold its callers."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[Passage] = []
        self.is_away = False
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()

    def append(self, passages: Sequence[Passage]) -> list[list[Chunk]]:
        self.entered.set()
        self.gate.wait(5)
        if self.is_away:
            raise StreamUnavailable("away")
        self.appended += passages
        return super().append(passages)


@pytest.fixture
def stream() -> Watched:
    """A stream that is there."""
    return Watched()


@pytest.fixture
def writer(stream: Watched) -> Iterator[ChunkWriter]:
    """A writer to it."""
    writer = ChunkWriter(stream)
    yield writer
    stream.gate.set()
    writer.close()


def by_run(*drafts: Draft, run_id: str = "run_1", **parts: object) -> Told:
    """Return what a link of a run told."""
    return Told(TENANT, run_id, 1, drafts=drafts, **parts)  # type: ignore[arg-type]


def test_pieces_that_come_together_are_one_chunk(stream: Watched, writer: ChunkWriter) -> None:
    writer.write(by_run(opened("m", "s")))
    for index, letter in enumerate("hello"):
        writer.write(by_run(more("m:text", index, letter)))
    writer.flush()
    writer.write(by_run(more("m:text", 5, "!")))
    writer.flush()
    assert [chunk.data.get("delta") for chunk in read(stream)] == [None, "hello", "!"]
    assert len(stream.appended) == 2


def test_each_run_keeps_its_order_and_its_channels(stream: Watched, writer: ChunkWriter) -> None:
    told = [by_run(once("a")), by_run(once("b"), run_id="run_2"), by_run(once("c"), channels=("x",)), by_run(once("d"))]
    for one in told:
        writer.write(one)
    writer.flush()
    assert [chunk.id for chunk in read(stream)] == ["a", "c", "d"]
    assert [one.chunk.id for one in stream.read(TENANT, "x")] == ["c"]


def test_what_was_told_is_not_even_made_again(stream: Watched, writer: ChunkWriter) -> None:
    made: list[str] = []

    def make() -> list[Draft]:
        made.append("once")
        return [begin("r"), end("r")]

    for _ in range(2):
        writer.write(by_run(unless="r:ended", make=make))
        writer.flush()
    assert made == ["once"]
    assert [chunk.id for chunk in read(stream)] == ["r:started", "r:ended"]


def test_those_who_listen_hear_numbered_chunks_in_order(stream: Watched, writer: ChunkWriter) -> None:
    heard: list[int] = []
    for number in range(5):
        writer.write(by_run(once(str(number)), hearers=(lambda chunk: heard.append(chunk.sequence_number),)))
    writer.flush()
    assert heard == [0, 1, 2, 3, 4]


def test_a_stream_that_is_away_costs_one_warning(
    stream: Watched, writer: ChunkWriter, caplog: pytest.LogCaptureFixture
) -> None:
    stream.is_away = True
    for number in range(3):
        writer.write(by_run(once(str(number))))
        writer.flush()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "away" in caplog.text and read(stream) == []


def test_telling_never_waits_for_the_stream(stream: Watched, writer: ChunkWriter) -> None:
    stream.gate.clear()
    for number in range(1_000):
        writer.write(by_run(once(str(number))))
    assert stream.appended == []
    stream.gate.set()
    writer.flush()
    assert len(read(stream)) == 1_000


def test_what_is_too_much_is_dropped_with_one_warning(stream: Watched, caplog: pytest.LogCaptureFixture) -> None:
    writer = ChunkWriter(stream, most=5)
    stream.gate.clear()
    writer.write(by_run(once("first")))
    assert stream.entered.wait(5)
    for number in range(100):
        writer.write(by_run(once(str(number))))
    stream.gate.set()
    writer.close()
    assert [chunk.id for chunk in read(stream)] == ["first", "0", "1", "2", "3", "4"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_what_cannot_be_made_takes_nothing_of_others_with_it(stream: Watched, writer: ChunkWriter) -> None:
    def fail() -> list[Draft]:
        raise KeyError("agent")

    writer.write(by_run(once("a"), run_id="run_2"))
    writer.write(by_run(unless="x", make=fail))
    writer.write(by_run(once("b"), run_id="run_2"))
    writer.flush()
    assert [one.chunk.id for one in stream.read(TENANT, "run:run_2")] == ["a", "b"]


def test_what_cannot_be_written_takes_nothing_of_other_runs_with_it(stream: Watched, writer: ChunkWriter) -> None:
    """Half a character cannot be sent; the runs of one process are appended together."""
    stream.gate.clear()
    writer.write(by_run(once("first")))
    assert stream.entered.wait(5)  # what comes now goes together
    for run_id, id in (("run_2", "before"), ("run_3", "\ud83d"), ("run_4", "behind")):
        writer.write(by_run(once(id), run_id=run_id))
    stream.gate.set()
    writer.flush()
    assert [len(read(stream, run_id)) for run_id in ("run_1", "run_2", "run_3", "run_4")] == [1, 1, 0, 1]


def test_closing_writes_what_waits(stream: Watched, writer: ChunkWriter) -> None:
    writer.write(by_run(once("last")))
    writer.close()
    assert [chunk.id for chunk in read(stream)] == ["last"]
