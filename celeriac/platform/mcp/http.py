"""HTTP to tool servers: the SDK's client over the guarded session of fetching.

So each connection goes to an address that was checked when its socket was made, for redirects and for whatever the
OAuth of the SDK asks as well. The query of the endpoint's URL, which may be a key, is put on here: the SDK and its log
see an address without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx2
from yarl import URL

from celeriac.errors import FetchError, FetchRefused
from celeriac.platform import outside
from celeriac.platform.fetching.failure import told
from celeriac.platform.fetching.session import addresses_of, guarded_session
from celeriac.platform.fetching.target import target
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits
from celeriac.platform.mcp.fate import Fate

#: headers that the session makes by itself
_OWN = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "user-agent"}
#: headers that are no longer true once the session has read the body
_READ = {"content-length", "content-encoding", "transfer-encoding", "connection"}
#: for saying goodbye to a server that may be gone
_GOODBYE_SECONDS = 3.0


@asynccontextmanager
async def session_of(limits: McpLimits) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session that reaches public addresses and those that the limits open; it follows no redirect."""
    session = guarded_session(
        limits.fetch.networks,
        resolve=addresses_of,
        tls=outside.tls(),
        keeps_connections=True,
        middlewares=(_refuse_redirects,),
    )
    async with session:
        yield session


def client_of(endpoint: Endpoint, session: aiohttp.ClientSession, limits: McpLimits, fate: Fate) -> httpx2.AsyncClient:
    """Return the SDK's client for one endpoint; close it with `async with`, and the session after it."""
    return httpx2.AsyncClient(
        transport=GuardedTransport(session, target(endpoint.url), fate, limits.fetch.max_bytes),
        headers=dict(endpoint.headers),
        auth=endpoint.auth,
        timeout=None,
        trust_env=False,
    )


def without_query(url: str) -> str:
    """Return the URL as the SDK may see it."""
    return str(target(url).with_query(None))


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends the requests of an httpx client through a guarded session."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: URL, fate: Fate, max_bytes: int) -> None:
        """Write down in `fate` what goes wrong with requests that carry messages."""
        self._session, self._endpoint, self._fate, self._max_bytes = session, endpoint, fate, max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request and return the answer, its body yet to be read."""
        if request.method == "DELETE":
            async with asyncio.timeout(_GOODBYE_SECONDS):
                return await self._send(request)
        if request.method != "POST":
            return await self._send(request)
        try:
            response = await self._send(request)
        except FetchError as error:
            self._fate.error = error
            is_unsent = isinstance(error, FetchRefused) or isinstance(error.__cause__, aiohttp.ClientConnectorError)
            self._fate.was_sent = not is_unsent
            raise
        self._fate.status = response.status_code if response.status_code >= 400 else None
        return response

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        url = target(str(request.url))
        if not url.raw_query_string and url == self._endpoint.with_query(None):
            url = self._endpoint
        headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in _OWN]
        response = await self._session.request(
            request.method, url, headers=headers, data=await request.aread() or None, allow_redirects=False
        )
        is_stream = response.content_type == "text/event-stream"
        return httpx2.Response(
            response.status,
            headers=[(name, value) for name, value in response.headers.items() if name.lower() not in _READ],
            stream=_Body(response, None if is_stream else self._max_bytes),
            request=request,
        )


class _Body(httpx2.AsyncByteStream):
    """The body of an answer, with a limit where it is no stream of events."""

    def __init__(self, response: aiohttp.ClientResponse, most: int | None) -> None:
        self._response, self._most = response, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        origin, size = str(self._response.url.origin()), 0
        with told(origin):
            async for piece in self._response.content.iter_any():
                size += len(piece)
                if self._most is not None and size > self._most:
                    raise FetchRefused(f"{origin} answers with more than {self._most} bytes", code="fetch_too_large")
                yield piece

    async def aclose(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


async def _refuse_redirects(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Refuse the redirects that the caller would have the session follow: a WebSocket's, headers and all."""
    response = await send(request)
    if response.status in (301, 302, 303, 307, 308) and "upgrade" in request.headers.get("Connection", "").lower():
        response.close()
        raise FetchRefused(f"{request.url.origin()} redirects a WebSocket; use the address that it redirects to")
    return response
