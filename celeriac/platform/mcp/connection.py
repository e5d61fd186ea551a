"""The connection: one session with one server, owned by a task of its own.

The SDK's sessions have to be opened and closed by one and the same task; whoever asks does so from another one. A
connection that has broken is over and stays so: the next question opens a new one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any, TypeVar

import mcp_types as types
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from celeriac.errors import McpError
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits
from celeriac.platform.mcp.fate import Fate, told
from celeriac.platform.mcp.streams import streams_of

T = TypeVar("T")

#: how long a list is believed of a server that says that it tells of changes
_LIST_SECONDS = 60.0
_CLOSING_SECONDS = 4.0


class Connection:
    """A session that is being opened, open, or over."""

    def __init__(self, endpoint: Endpoint, limits: McpLimits) -> None:
        """Begin to open it, on the running loop."""
        loop = asyncio.get_running_loop()
        self._endpoint, self._limits, self._loop = endpoint, limits, loop
        self._fate = Fate()
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[Client] = loop.create_future()
        self._ready.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._tools: list[types.Tool] | None = None
        self._changes, self._listed_at = 0, 0.0
        #: whether it answers no more
        self.is_over = False
        #: questions that are being answered
        self.in_use = 0
        self.used_at = loop.time()
        # An empty context: it outlives the run that is the first to ask, and must not hold it.
        self._owner = contextvars.Context().run(loop.create_task, self._live())

    async def call(self, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Call a tool; raise `McpError` where there is no result."""
        return await self._ask(lambda client: client.call_tool(tool, arguments))

    async def tools(self) -> list[types.Tool]:
        """Return all tools of all pages, as they are now."""
        return await self._ask(self._list)

    def end(self) -> None:
        """Let the session be closed; questions that are being answered get no answer."""
        self.is_over = True
        self._closing.set()

    async def close(self) -> None:
        """Close the session and wait for it."""
        self.end()
        _, alive = await asyncio.wait({self._owner}, timeout=_CLOSING_SECONDS)
        if alive:
            self._owner.cancel()
            await asyncio.wait({self._owner}, timeout=_CLOSING_SECONDS)

    async def _live(self) -> None:
        """Open the session, keep it, and close it."""
        endpoint = self._endpoint
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(endpoint.timeout):
                    client = await stack.enter_async_context(
                        Client(
                            streams_of(endpoint, self._limits, self._fate, self.end),
                            message_handler=self._hear,
                            client_info=types.Implementation(name="celeriac", version=version("celeriac")),
                            cache=None,  # believes a list for as long as the server once said, whatever changed
                        )
                    )
                self._ready.set_result(client)
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001  # of a transport, and whoever asks is told
            if not self._ready.done():
                self._ready.set_exception(told(endpoint.name, error, self._fate, endpoint.timeout))
        finally:
            self.end()
            self._ready.cancel()

    async def _hear(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._tools = None
            self._changes += 1

    async def _ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        self.in_use += 1
        timeout = self._endpoint.timeout
        try:
            client = await asyncio.shield(self._ready)
            async with asyncio.timeout(timeout):
                return await question(client)
        except asyncio.CancelledError:
            if not self._ready.cancelled():
                raise
            raise McpError(f"MCP server {self._endpoint.name!r} was lost while it opened", is_retriable=True) from None
        except Exception as error:
            failure = told(self._endpoint.name, error, self._fate, timeout)
            is_alone = self.in_use == 1
            if isinstance(failure, McpError) and (failure.is_retriable and (is_alone or not _is_slow(error))):
                self.end()
            if failure is error:
                raise
            raise failure from error
        finally:
            self.in_use -= 1
            self.used_at = self._loop.time()

    async def _list(self, client: Client) -> list[types.Tool]:
        if self._tools is not None and self._loop.time() - self._listed_at < _LIST_SECONDS:
            return self._tools
        changes, found = self._changes, await self._pages(client)
        capability = client.server_capabilities.tools
        tells = client.protocol_version not in MODERN_PROTOCOL_VERSIONS and capability and capability.list_changed
        if tells and changes == self._changes:
            self._tools, self._listed_at = found, self._loop.time()
        return found

    async def _pages(self, client: Client) -> list[types.Tool]:
        found: list[types.Tool] = []
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                return found
            if cursor in seen or len(found) > self._limits.max_tools:
                what = f"MCP server {self._endpoint.name!r}"
                raise McpError(f"{what} lists tools without end; the limit is {self._limits.max_tools}")
            seen.add(cursor)


def _is_slow(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) and not isinstance(error, MCPError)
