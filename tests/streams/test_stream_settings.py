"""What an operator sets for streams holds for an installation."""

from __future__ import annotations

from contextlib import closing

from stream_program import once, read, told

from celeriac.settings import Settings
from celeriac.wiring import build


def test_an_operator_says_how_many_bytes_a_channel_keeps(sqlite_url: str, redis_url: str) -> None:
    rooms = build(Settings(database_url=sqlite_url, redis_url=redis_url, stream_bytes=1_000))
    with closing(rooms):
        rooms.stream.append([told(*[once(str(number), text="x" * 177) for number in range(9)])])
        assert [chunk.sequence_number for chunk in read(rooms.stream)] == [4, 5, 6, 7, 8]
