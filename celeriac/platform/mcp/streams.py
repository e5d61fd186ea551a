"""The streams: one way for each transport to exchange the protocol's messages, as the SDK takes them."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TextIO

import aiohttp
import anyio
import httpx2
from mcp import StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from celeriac.errors import ConfigError, FetchError, FetchRefused
from celeriac.platform.fetching.failure import told
from celeriac.platform.fetching.target import target
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits
from celeriac.platform.mcp.fate import Fate
from celeriac.platform.mcp.http import client_of, session_of, without_query

_HEARTBEAT_SECONDS = 30.0

Streams = tuple[Any, Any]


@asynccontextmanager
async def streams_of(
    endpoint: Endpoint, limits: McpLimits, fate: Fate, on_end: Callable[[], None]
) -> AsyncIterator[Streams]:
    """Open the endpoint's streams; `on_end` is called when the server says no more.

    Raises `ConfigError` for a command where the operator allows none.
    """
    opened = {"streamable-http": _streamable_http, "sse": _sse, "ws": _websocket, "stdio": _stdio}[endpoint.transport]
    async with opened(endpoint, limits, fate) as (reading, writing):
        yield _Watched(reading, on_end), writing


@asynccontextmanager
async def _streamable_http(endpoint: Endpoint, limits: McpLimits, fate: Fate) -> AsyncIterator[Streams]:
    async with (
        session_of(limits) as session,
        client_of(endpoint, session, limits, fate) as client,
        streamable_http_client(
            without_query(endpoint.url), http_client=client, max_sse_event_size=limits.fetch.max_bytes
        ) as streams,
    ):
        yield streams


@asynccontextmanager
async def _sse(endpoint: Endpoint, limits: McpLimits, fate: Fate) -> AsyncIterator[Streams]:
    async with session_of(limits) as session:

        def make_client(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
            return client_of(endpoint, session, limits, fate)

        async with sse_client(without_query(endpoint.url), httpx_client_factory=make_client) as streams:
            yield streams


@asynccontextmanager
async def _stdio(endpoint: Endpoint, limits: McpLimits, fate: Fate) -> AsyncIterator[Streams]:
    if not limits.allow_stdio:
        raise ConfigError(
            f"MCP server {endpoint.name!r} is a command, which would run with all rights of this process; where that "
            "is meant, the operator sets CELERIAC_MCP_STDIO=true"
        )
    server = StdioServerParameters(command=endpoint.command[0], args=list(endpoint.command[1:]), env=dict(endpoint.env))
    errors, is_own = _errors()
    try:
        async with stdio_client(server, errlog=errors) as streams:
            yield streams
    finally:
        if is_own:
            errors.close()


def _errors() -> tuple[TextIO, bool]:
    """Return where a command's own errors go: to this process's, even where Celery put a log in its place."""
    real = sys.__stderr__
    return (open(os.devnull, "w"), True) if real is None or real.closed else (real, False)


@asynccontextmanager
async def _websocket(endpoint: Endpoint, limits: McpLimits, fate: Fate) -> AsyncIterator[Streams]:
    url = target(endpoint.url)
    async with session_of(limits) as session:
        try:
            socket = await session.ws_connect(
                url,
                protocols=("mcp",),
                headers=dict(endpoint.headers),
                heartbeat=_HEARTBEAT_SECONDS,
                max_msg_size=limits.fetch.max_bytes,
            )
        except aiohttp.WSServerHandshakeError as error:
            fate.status = error.status
            raise FetchRefused(f"{url.origin()} opens no WebSocket (HTTP {error.status})") from error
        except FetchError as error:
            fate.error = error
            raise
        incoming, reading = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        writing, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        async with socket, incoming, reading, writing, outgoing, anyio.create_task_group() as tasks:
            tasks.start_soon(_receive, socket, incoming)
            tasks.start_soon(_send, socket, outgoing, str(url.origin()))
            yield reading, writing
            tasks.cancel_scope.cancel()


async def _receive(socket: aiohttp.ClientWebSocketResponse, incoming: Any) -> None:
    async with incoming:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                await incoming.send(SessionMessage(jsonrpc_message_adapter.validate_json(message.data, by_name=False)))
            except ValidationError as error:
                await incoming.send(error)


async def _send(socket: aiohttp.ClientWebSocketResponse, outgoing: Any, origin: str) -> None:
    async for message in outgoing:
        try:
            with told(origin):
                await socket.send_str(message.message.model_dump_json(by_alias=True, exclude_unset=True))
        except FetchError:
            return  # who reads learns of it


class _Watched:
    """A stream of the SDK's that tells when it ends."""

    def __init__(self, inner: Any, on_end: Callable[[], None]) -> None:
        self._inner, self._on_end = inner, on_end

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Any:
        try:
            return await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._on_end()
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        await self.aclose()
        return None
