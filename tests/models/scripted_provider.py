"""A provider that answers what a test tells it to, byte by byte, and keeps what it was asked.

For answers that the offline model server would never give: odd headers, broken bodies, recordings.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer over HTTP; a body that is no text is sent as JSON."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    query: dict[str, str] = field(default_factory=dict)


class ScriptedProvider:
    """Answers requests in order; `None` cuts the connection, and without an answer left it never answers."""

    def __init__(self, *answers: Answer | None) -> None:
        """Remember the answers; the server opens with `async with`."""
        self.asked: list[Asked] = []
        self._answers = list(answers)
        app = web.Application()
        app.router.add_post("/{path:.*}", self._answer)
        self._server = TestServer(app)

    async def __aenter__(self) -> ScriptedProvider:
        """Open the port."""
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port and drop the requests that hang."""
        for transport in self.open_connections:
            transport.close()
        await self._server.close()

    @property
    def url(self) -> str:
        """The base URL for both SDKs."""
        return str(self._server.make_url("")).rstrip("/")

    @property
    def last(self) -> dict[str, Any]:
        """The body of the newest request."""
        return self.asked[-1].body

    @property
    def open_connections(self) -> list[Any]:
        """The transports of all connections that are still open."""
        runner = self._server.runner
        server = runner.server if runner is not None else None
        return [handler.transport for handler in (server.connections if server else ()) if handler.transport]

    async def _answer(self, request: web.Request) -> web.Response:
        headers, query = request.headers.copy(), dict(request.query)
        self.asked.append(Asked(path=request.path, headers=headers, body=await request.json(), query=query))
        if not self._answers:
            await asyncio.get_running_loop().create_future()
        answer = self._answers.pop(0)
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        is_text = isinstance(answer.body, str)
        return web.Response(
            status=answer.status,
            text=str(answer.body) if is_text else json.dumps(answer.body),
            content_type=answer.content_type.partition(";")[0] or ("text/html" if is_text else "application/json"),
            headers=answer.headers,
        )


def chat_completion(
    text: str | None = "Hello", *, calls: list[dict[str, Any]] | None = None, finish: str = "stop", **message: Any
) -> Answer:
    """An answer of OpenAI; `calls` are its tool calls."""
    said = {"role": "assistant", "content": text, "tool_calls": calls, **message}
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    choice = {"index": 0, "message": said, "finish_reason": finish}
    return Answer(body={"id": "c", "model": "gpt-4.1-2025-04-14", "choices": [choice], "usage": usage})


def function_call(name: str, arguments: str, id: str = "") -> dict[str, Any]:
    """A tool call as OpenAI sends it."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def anthropic_message(*content: dict[str, Any], stop: str = "end_turn") -> Answer:
    """An answer of Anthropic made of content blocks."""
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 60,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    body = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001", "usage": usage}
    blocks = list(content) or [{"type": "text", "text": "Hello"}]
    return Answer(body={**body, "content": blocks, "stop_reason": stop})
