"""Servers to fetch from: a site that speaks HTTP, a port that says whatever bytes a test wants, and names for both.

They listen on addresses of this host's loopback, which a fetch reaches only where a test opens that network.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from celeriac.platform.fetching.fetch import fetch
from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.fetching.reply import FetchReply
from celeriac.platform.fetching.request import Request

#: what a test opens in order to reach its own servers
LOOPBACK = FetchLimits(allowed_networks=("127.0.0.0/8",))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def get(url: str, limits: FetchLimits = LOOPBACK, **more: str) -> FetchReply:
    """Fetch a URL of the loopback, with headers by name."""
    return await fetch(Request(url=url, headers=more), limits)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Site:
    """A web site that keeps what it was asked; without a handler it says hello."""

    def __init__(self, handler: Handler | None = None, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None):
        """Prepare the site; its port opens with `async with`."""
        self.asked: list[Asked] = []
        self.port = 0
        self._handler = handler
        self._tls = tls
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, host=host)

    async def __aenter__(self) -> Self:
        """Open the port."""
        await self._server.start_server(ssl=self._tls)
        self.port = self._server.port or 0
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port."""
        await self._server.close()

    @property
    def open_connections(self) -> list[object]:
        """The transports of all connections that are still open."""
        runner = self._server.runner
        server = runner.server if runner is not None else None
        return [handler.transport for handler in (server.connections if server else ()) if handler.transport]

    def url(self, path: str = "/") -> str:
        """An address of the site."""
        return f"{'https' if self._tls else 'http'}://{self._server.host}:{self.port}{path}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.asked.append(Asked(method=request.method, path=request.raw_path, headers=headers, body=body))
        return web.Response(text="hello") if self._handler is None else await self._handler(request)


class Port:
    """A port of the loopback that counts who connects and answers each with the same bytes; then it holds still."""

    def __init__(self, answer: bytes = b"", *, drip: bytes = b"", closes: bool = False) -> None:
        """Answer with `answer`, then go on with `drip` for ever, or close, or say no more."""
        self.connections = 0
        self.port = 0
        self._answer, self._drip, self._closes = answer, drip, closes
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Open the port."""
        self._server = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of all connections."""
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The port's address."""
        return f"http://127.0.0.1:{self.port}/"

    def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._talks.add(asyncio.get_running_loop().create_task(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer)
            await writer.drain()
            while not self._closes:
                writer.write(self._drip)
                await writer.drain()
                await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.02)
        finally:
            writer.close()
            with suppress(ConnectionError):  # the other side may have gone first
                await writer.wait_closed()


@dataclass
class Names:
    """A name server of the test: hands out one answer after the other, the last one for ever."""

    answers: list[Sequence[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Answer a look-up."""
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
