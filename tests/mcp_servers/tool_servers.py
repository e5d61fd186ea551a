"""Tool servers made with the SDK, each on a real port of the loopback and spoken to by its transport.

`ServedTools` runs one in a thread; run as a program, this file is a server by itself, to be started as a command or
killed: `python tool_servers.py stdio|streamable-http`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import anyio
import uvicorn
from aiohttp import WSMsgType, web
from mcp.server.lowlevel import NotificationOptions
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.message import SessionMessage
from mcp_types import Tool, ToolAnnotations, jsonrpc_message_adapter

PROGRAM = Path(__file__)


class _CountingServer(MCPServer):
    listed = 0

    async def list_tools(self) -> list[Tool]:
        """Count how often the list was asked for."""
        self.listed += 1
        return await super().list_tools()


class Tools:
    """A server with some tools, and what was asked of it."""

    def __init__(self) -> None:
        """Offer the tools."""
        self.calls: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.server = _CountingServer("tools", log_level="CRITICAL")
        self.server.add_tool(self.greet)
        self.server.add_tool(self.fail)
        self.server.add_tool(self.hang)
        self.server.add_tool(self.grow)
        self.server.add_tool(self.environment)
        self.server.add_tool(self.count, annotations=ToolAnnotations(read_only_hint=True))

    def greet(self, name: str) -> str:
        """Say hello."""
        self.calls.append(f"greet {name}")
        return f"Hello {name}"

    def fail(self) -> str:
        """Fail."""
        self.calls.append("fail")
        raise ToolError("no luck today")

    def count(self) -> str:
        """Count the calls."""
        self.calls.append("count")
        return str(len(self.calls))

    def environment(self) -> str:
        """Name the variables."""
        return " ".join(os.environ)

    async def hang(self) -> str:
        """Never answer."""
        print("hanging", flush=True, file=sys.stderr)
        self.calls.append("hang")
        await anyio.sleep_forever()
        return ""

    async def grow(self, ctx: Context[Any]) -> str:
        """Offer one tool more."""
        self.calls.append("grow")

        def grown() -> str:
            """Be new."""
            return "new"

        self.server.add_tool(grown)
        await ctx.session.send_tool_list_changed()
        return "grown"


def listening(port: int) -> socket.socket:
    """Listen on the loopback; told that it is TCP, asyncio sends small answers without waiting 40 ms for more."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen()
    return made


class ServedTools:
    """Tools served from a thread; `url` is where."""

    def __init__(self, transport: str = "streamable-http", *, app: Any = None, is_old: bool = False, port: int = 0):
        """Prepare to serve `Tools`, or an ASGI app of the test's own.

        An old server knows the protocol before 2026 alone: with sessions, and notifications between the requests.
        """
        self.tools = Tools()
        self.transport = transport
        self.methods: list[str] = []
        self._is_old = is_old
        self._socket = listening(port)
        self.port = self._socket.getsockname()[1]
        made = app or (self.tools.server.sse_app() if transport == "sse" else self.tools.server.streamable_http_app())
        config = uvicorn.Config(self._noting(made), log_level="critical", ws="none", timeout_graceful_shutdown=0)
        self._server = uvicorn.Server(config)
        run = self._serve_websocket if transport == "ws" else self._serve
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._until_ended(run)), daemon=True)

    @property
    def url(self) -> str:
        """The server's address."""
        scheme = "ws" if self.transport == "ws" else "http"
        return f"{scheme}://127.0.0.1:{self.port}/{'sse' if self.transport == 'sse' else 'mcp'}"

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        self._is_up.wait(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Stop at once, whatever is open."""
        self._server.should_exit = self._server.force_exit = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=10)

    async def _until_ended(self, run: Callable[[], Awaitable[None]]) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._is_up.set()
        await run()

    def _noting(self, app: Any) -> Any:
        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.tools.headers.append(headers)
            self.methods.append(scope["method"])
            if self._is_old and "mcp-method" in headers:
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b""})
            else:
                await app(scope, receive, send)

        return noting

    async def _serve(self) -> None:
        await self._server._serve(sockets=[self._socket])

    async def _serve_websocket(self) -> None:
        app = web.Application()
        app.router.add_get("/mcp", self._socket_session)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        await self._ended.wait()
        await runner.cleanup()

    async def _socket_session(self, request: web.Request) -> web.StreamResponse:
        """Speak the protocol over one WebSocket."""
        self.tools.headers.append({name.lower(): value for name, value in request.headers.items()})
        spoken = web.WebSocketResponse(protocols=("mcp",))
        await spoken.prepare(request)
        incoming, reading = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        writing, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        lowlevel = self.tools.server._lowlevel_server
        options = lowlevel.create_initialization_options(NotificationOptions(tools_changed=True))

        async def answer() -> None:
            async for message in outgoing:
                await spoken.send_str(message.message.model_dump_json(by_alias=True, exclude_unset=True))

        async with incoming, reading, writing, outgoing, anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            tasks.start_soon(lowlevel.run, reading, writing, options)
            async for message in spoken:
                if self._is_old and "server/discover" in str(message.data):
                    error = {"code": -32601, "message": "Method not found"}
                    await spoken.send_json({"jsonrpc": "2.0", "id": message.json()["id"], "error": error})
                elif message.type is WSMsgType.TEXT:
                    parsed = jsonrpc_message_adapter.validate_json(message.data, by_name=False)
                    await incoming.send(SessionMessage(parsed))
            tasks.cancel_scope.cancel()
        return spoken


class ServerProcess:
    """A server in a process of its own, which can be killed and started again on the same port."""

    def __init__(self) -> None:
        """Choose the port."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it and wait until it listens."""
        command = [sys.executable, str(PROGRAM), "streamable-http", str(self.port)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.hear("serving")
        return self

    def hear(self, word: str) -> None:
        """Wait until the server says the word."""
        assert self._process is not None and self._process.stderr is not None
        for line in self._process.stderr:
            if word in line:
                return
        raise AssertionError(f"The server ended without saying {word!r}")

    def kill(self) -> None:
        """Kill it, as the kernel would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()


def main() -> None:
    """Serve by stdio, or over HTTP on the port that is given."""
    tools = Tools()
    if sys.argv[1] == "stdio":
        tools.server.run("stdio")
        return
    served = listening(int(sys.argv[2]))
    print("serving", flush=True, file=sys.stderr)
    uvicorn.Server(uvicorn.Config(tools.server.streamable_http_app(), log_level="error")).run(sockets=[served])


if __name__ == "__main__":
    main()
