"""The fault proxy: stands between a process and its server, and spoils the connections as it is told.

The stage puts one before each worker's Redis and one before its Postgres. It knows no protocol: it sees bytes, and who
sent them. How it behaves may change at any time; connections that are open follow at their next bytes.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

_CHUNK = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How the proxy treats its connections.

    `pass`: as if it were not there. `slow`: each chunk late by `latency` and up to `jitter` seconds more, and at most
    `bytes_per_second`. `silent`: connections are accepted and stay open, and nothing comes through until the manner
    changes (half-open). `refuse`: new connections are reset. `unanswered`: what the client sends arrives, and once it
    has sent `after_bytes` with `after_word` in them, the server's answer is thrown away and the connection is reset.
    """

    kind: Literal["pass", "slow", "silent", "refuse", "unanswered"] = "pass"
    latency: float = 0.0
    jitter: float = 0.0
    bytes_per_second: float = float("inf")
    after_bytes: int = 0
    after_word: bytes = b""


PASS = Manner()


@dataclass(eq=False)
class _Link:
    """One connection: both of its sides, and what the client has sent since the manner began."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    manner: Manner = PASS
    sent: int = 0
    is_doomed: bool = False

    def reset(self) -> None:
        for writer in filter(None, (self.client, self.server)):
            with suppress(OSError):  # it is closed already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def close(self) -> None:
        for writer in filter(None, (self.client, self.server)):
            writer.close()


@dataclass
class Proxy:
    """Passes the connections of one port on to a server; belongs to one loop."""

    host: str
    server_port: int
    port: int = 0
    #: connections that were reset without an answer
    unanswered: int = 0
    _manner: Manner = PASS
    _links: set[_Link] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _listener: asyncio.Server | None = None

    async def open(self) -> Self:
        """Listen on a free port of the loopback."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    def close(self) -> None:
        """Stop listening and reset what is open."""
        if self._listener is not None:
            self._listener.close()
        self.cut()

    def behave(self, manner: Manner) -> None:
        """Treat all connections in this manner from now on."""
        self._manner = manner
        self._changed.set()
        self._changed = asyncio.Event()

    def cut(self) -> None:
        """Reset all connections that are open."""
        for link in list(self._links):
            link.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        pumps: list[asyncio.Future[None]] = []
        try:
            await self._while_silent()
            if self._manner.kind == "refuse":
                link.is_doomed = True
                return
            answers, link.server = await asyncio.open_connection(self.host, self.server_port)
            pumps += [
                asyncio.ensure_future(self._ask(link, reader, link.server)),
                asyncio.ensure_future(self._answer(link, answers, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            link.is_doomed = True  # the server is not there
        finally:
            for pump in pumps:
                pump.cancel()
            self._links.discard(link)
            link.reset() if link.is_doomed else link.close()

    async def _ask(self, link: _Link, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # one of the two has gone, and the other one is closed
            while chunk := await reader.read(_CHUNK):
                manner = await self._held(len(chunk))
                if manner is not link.manner:
                    link.manner, link.sent = manner, 0
                link.sent += len(chunk)
                if manner.kind == "unanswered" and link.sent > manner.after_bytes and manner.after_word in chunk:
                    link.is_doomed = True
                server.write(chunk)
                await server.drain()

    async def _answer(self, link: _Link, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # as above
            while chunk := await reader.read(_CHUNK):
                await self._held(len(chunk))
                if link.is_doomed:
                    self.unanswered += 1
                    return
                client.write(chunk)
                await client.drain()

    async def _held(self, size: int) -> Manner:
        """Hold a chunk back for as long as the manner says, and return the manner in which it goes on."""
        await self._while_silent()
        manner = self._manner
        if manner.kind == "slow":
            late = manner.latency + random.uniform(0, manner.jitter) + size / manner.bytes_per_second
            await asyncio.sleep(late)
        return manner

    async def _while_silent(self) -> None:
        while self._manner.kind == "silent":
            await self._changed.wait()
