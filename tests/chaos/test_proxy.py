"""The fault proxy: passes on what it is given, and spoils it in each of its manners."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from celeriac.chaos.proxy import PASS, Manner, Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """A proxy before a server that sends back each line in capital letters, and clients of it."""

    def __init__(self) -> None:
        #: what came to the server
        self.heard: list[bytes] = []
        self.proxy = Proxy(host="127.0.0.1", server_port=0)
        self._clients: list[asyncio.StreamWriter] = []

    async def connect(self) -> Streams:
        """Connect through the proxy."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        self._clients.append(writer)
        return reader, writer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be the server."""
        with suppress(ConnectionError):  # a test cuts it off
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line.upper())
        writer.close()

    async def close(self) -> None:
        """End what is open."""
        self.proxy.close()
        for writer in self._clients:
            writer.close()
            with suppress(ConnectionError):  # it was reset, as its test wanted
                await writer.wait_closed()


@asynccontextmanager
async def wired() -> AsyncIterator[Wire]:
    """Yield a wire that passes everything on."""
    wire = Wire()
    async with await asyncio.start_server(wire.serve, "127.0.0.1", 0) as server:
        wire.proxy.server_port = server.sockets[0].getsockname()[1]
        await wire.proxy.open()
        try:
            yield wire
        finally:
            await wire.close()


async def ask(streams: Streams, line: bytes = b"hello\n") -> bytes:
    """Send a line and return the answer; empty where the connection was closed."""
    reader, writer = streams
    writer.write(line)
    return await asyncio.wait_for(reader.readline(), 5)


async def test_it_passes_everything_on_and_ends_with_its_client() -> None:
    """As if it were not there."""
    async with wired() as wire:
        streams = await wire.connect()
        assert [await ask(streams), await ask(streams, b"again\n")] == [b"HELLO\n", b"AGAIN\n"]
        streams[1].close()
        await streams[1].wait_closed()


async def test_a_slow_connection_takes_its_time_both_ways() -> None:
    """Latency, and the width of the wire; others follow when it is over."""
    async with wired() as wire:
        streams = await wire.connect()
        wire.proxy.behave(Manner(kind="slow", latency=0.05, bytes_per_second=1_000))
        began = time.monotonic()
        assert await ask(streams, b"x" * 99 + b"\n") == b"X" * 99 + b"\n"
        assert time.monotonic() - began >= 0.3
        wire.proxy.behave(PASS)
        assert await ask(streams) == b"HELLO\n"


async def test_a_silent_connection_is_open_and_says_nothing() -> None:
    """A new one is accepted too; what was said arrives when it is over."""
    async with wired() as wire:
        old = await wire.connect()
        wire.proxy.behave(Manner(kind="silent"))
        new = await wire.connect()
        asked = [asyncio.ensure_future(ask(streams)) for streams in (old, new)]
        assert (await asyncio.wait(asked, timeout=0.2))[0] == set()
        assert wire.heard == []
        wire.proxy.behave(PASS)
        assert await asyncio.gather(*asked) == [b"HELLO\n"] * 2


async def test_an_unanswered_request_arrives_and_its_answer_is_lost() -> None:
    """Only where the word was in it: the commit is done, and nobody is told."""
    async with wired() as wire:
        streams = await wire.connect()
        wire.proxy.behave(Manner(kind="unanswered", after_word=b"COMMIT"))
        assert await ask(streams) == b"HELLO\n"
        with pytest.raises(ConnectionResetError):
            await ask(streams, b"COMMIT\n")
        assert (wire.heard, wire.proxy.unanswered) == ([b"hello\n", b"COMMIT\n"], 1)


async def test_an_answer_is_lost_after_so_many_bytes() -> None:
    """Counted from when the manner began."""
    async with wired() as wire:
        streams = await wire.connect()
        assert await ask(streams) == b"HELLO\n"
        wire.proxy.behave(Manner(kind="unanswered", after_bytes=6))
        assert await ask(streams) == b"HELLO\n"
        with pytest.raises(ConnectionResetError):
            await ask(streams)
        assert len(wire.heard) == 3


async def test_cut_connections_are_reset_and_new_ones_are_not() -> None:
    """Unless they are refused."""
    async with wired() as wire:
        old = await wire.connect()
        assert await ask(old) == b"HELLO\n"
        wire.proxy.cut()
        with pytest.raises(ConnectionResetError):
            await ask(old)
        assert await ask(await wire.connect()) == b"HELLO\n"
        wire.proxy.behave(Manner(kind="refuse"))
        with pytest.raises(ConnectionResetError):
            await ask(await wire.connect())


async def test_a_server_that_is_away_is_a_reset_for_the_client() -> None:
    """As without the proxy."""
    async with wired() as wire:
        wire.proxy.server_port = 1
        with pytest.raises(ConnectionResetError):
            await ask(await wire.connect())
