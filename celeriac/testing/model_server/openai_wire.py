"""OpenAI's chat completions on the wire: `POST /v1/chat/completions`, and at the addresses of Gemini, Grok and Azure.

Called by the server with raw bodies. It refuses what the real API refuses (a missing key, calls without results, a
forced tool that is not offered), so that an adapter which passes here has the right shapes. It must never look at a
brain or a fault.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from celeriac.testing.model_server.wire import (
    Finish,
    Provider,
    Refusal,
    WireCall,
    WireReply,
    WireRequest,
    WireResult,
    WireTool,
    WireTurn,
    arguments_text,
    describe,
    event,
    invalid,
    pieces,
    unpaired,
    usage_of,
)

_FINISH: dict[Finish, str] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "refusal": "stop",
    "content_filter": "content_filter",
}
_CHOICE = {"auto": "auto", "none": "none", "required": "any"}
_ERROR_TYPE = {429: "requests"}
_ERROR_CODE = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}


class _CalledFunction(BaseModel):
    name: str
    arguments: str


class _Call(BaseModel):
    id: str
    type: Literal["function"]
    function: _CalledFunction


class _Part(BaseModel):
    type: str
    text: str = ""


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class _OfferedFunction(BaseModel):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class _Tool(BaseModel):
    type: Literal["function"]
    function: _OfferedFunction


class _NamedFunction(BaseModel):
    name: str


class _NamedChoice(BaseModel):
    type: Literal["function"]
    function: _NamedFunction


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _NamedChoice | None = None
    stream: bool | None = None


class OpenAIWire:
    """Reads chat completion requests and writes chat completions."""

    request_id_header = "x-request-id"

    def __init__(
        self,
        provider: Provider = "openai",
        path: str = "/v1/chat/completions",
        *,
        needs_query: tuple[str, ...] = (),
    ) -> None:
        """Speak for a provider, at its path."""
        self.provider: Provider = provider
        self.path = path
        self.needs_query = needs_query

    def read(self, raw: bytes, headers: Mapping[str, str]) -> WireRequest | Refusal:
        """Parse and check a request as strictly as the provider does."""
        if refusal := refuse_key(self.provider, headers):
            return refusal
        try:
            body = _Body.model_validate_json(raw)
        except ValidationError as error:
            return describe(error)
        if problem := _misplaced(body.messages):
            return invalid(problem)
        request = WireRequest(
            provider=self.provider,
            model=body.model,
            system="\n\n".join(message.text for message in body.messages if message.role in ("system", "developer")),
            messages=_turns(body.messages),
            tools=tuple(_tool(tool.function) for tool in body.tools or ()),
            tool_choice=_choice(body.tool_choice),
            headers=headers,
            params=body.model_extra or {},
            is_streamed=bool(body.stream),
        )
        return _refuse_choice(request, body) or request

    def write(self, request: WireRequest, reply: WireReply, digest: str) -> dict[str, Any]:
        """Shape a reply; `digest` names the request, and every id is made from it."""
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
        if reply.finish_reason == "refusal":
            message |= {"content": None, "refusal": reply.text}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id or f"call_{digest}{number}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": arguments_text(call)},
                }
                for number, call in enumerate(reply.tool_calls)
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[reply.finish_reason]}
        usage = usage_of(request, reply)
        return {
            "id": f"chatcmpl-{digest}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.input_tokens + usage.output_tokens,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
        }

    def write_stream(self, request: WireRequest, reply: WireReply, digest: str) -> list[str]:
        """Shape a reply as chunks; the last one has the usage, where it is asked for."""
        whole = self.write(request, reply, digest)
        [choice] = whole.pop("choices")
        usage = whole.pop("usage")
        head = {**whole, "object": "chat.completion.chunk"}
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
            for delta in _deltas(choice["message"])
        ]
        end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
        chunks.append({**head, "choices": [end]})
        if request.params.get("stream_options", {}).get("include_usage"):
            chunks.append({**head, "choices": [], "usage": usage})
        return [*map(event, chunks), event("[DONE]")]

    def write_refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Shape an error."""
        code = refusal.code or _ERROR_CODE.get(refusal.status)
        kind = "server_error" if refusal.status >= 500 else _ERROR_TYPE.get(refusal.status, "invalid_request_error")
        if code == "insufficient_quota":
            kind = code
        return {"error": {"message": refusal.message, "type": kind, "param": None, "code": code}}


def refuse_key(provider: Provider, headers: Mapping[str, str]) -> Refusal | None:
    """Refuse a request without a key in the header that this provider reads."""
    if provider == "azure_openai":
        return None if headers.get("api-key") else Refusal(status=401, message="Access denied due to missing api-key.")
    if not headers.get("authorization", "").startswith("Bearer "):
        return Refusal(status=401, message="You didn't provide an API key in an Authorization header.")
    return None


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A message in pieces: who speaks, the texts, then each call with its arguments."""
    yield {"role": "assistant", "content": "", "refusal": None}
    for name in ("reasoning_content", "content", "refusal"):
        yield from ({name: piece} for piece in pieces(message.get(name) or ""))
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]}
        for piece in pieces(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _misplaced(messages: list[_Message]) -> str | None:
    """What is wrong with single messages, before they are folded into turns."""
    for place, message in enumerate(messages):
        if message.role == "tool" and (message.tool_call_id is None or message.content is None):
            return f"messages.{place}: a message of role 'tool' needs 'tool_call_id' and 'content'"
        if message.role == "assistant" and message.content is None and not message.tool_calls:
            return f"messages.{place}: a message of role 'assistant' needs 'content' or 'tool_calls'"
        if message.role in ("system", "developer", "user") and message.content is None:
            return f"messages.{place}: a message of role {message.role!r} needs 'content'"
        if message.tool_calls == []:
            return f"messages.{place}.tool_calls: [] is too short"
    return unpaired(_turns(messages))


def _turns(messages: list[_Message]) -> tuple[WireTurn, ...]:
    """Fold the messages into turns; the tool messages that follow one another are one user turn."""
    turns: list[WireTurn] = []
    names: dict[str, str] = {}
    results: list[WireResult] = []
    for message in messages:
        if message.role == "tool":
            call_id = message.tool_call_id or ""
            results.append(WireResult(call_id=call_id, name=names.get(call_id, ""), text=message.text))
            continue
        if results:
            turns.append(WireTurn(role="user", tool_results=tuple(results)))
            results = []
        if message.role == "user":
            turns.append(WireTurn(role="user", text=message.text))
        elif message.role == "assistant":
            calls = tuple(_call(call) for call in message.tool_calls or ())
            names |= {call.id: call.name for call in calls}
            turns.append(WireTurn(role="assistant", text=message.text, tool_calls=calls))
    if results:
        turns.append(WireTurn(role="user", tool_results=tuple(results)))
    return tuple(turns)


def _call(call: _Call) -> WireCall:
    """A call with its arguments read; text that is no JSON object stays text."""
    arguments: dict[str, Any] | str = call.function.arguments
    with suppress(ValueError):  # a model may have sent broken JSON, and the conversation carries it along
        parsed = json.loads(call.function.arguments)
        arguments = parsed if isinstance(parsed, dict) else arguments
    return WireCall(id=call.id, name=call.function.name, arguments=arguments)


def _tool(tool: _OfferedFunction) -> WireTool:
    return WireTool(name=tool.name, description=tool.description or "", schema=tool.parameters)


def _choice(choice: str | _NamedChoice | None) -> str:
    if isinstance(choice, _NamedChoice):
        return choice.function.name
    return _CHOICE[choice or "auto"]


def _refuse_choice(request: WireRequest, body: _Body) -> Refusal | None:
    if body.tools == []:
        return invalid("tools: [] is too short; leave it out.")
    if body.tool_choice is not None and not request.tools:
        return invalid("tool_choice: only allowed when 'tools' are given.")
    if isinstance(body.tool_choice, _NamedChoice) and not request.offers(request.tool_choice):
        return invalid(f"tool_choice: the tool {request.tool_choice!r} is not in 'tools'.")
    return None
