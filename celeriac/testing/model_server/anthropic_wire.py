"""Anthropic's messages on the wire: `POST /v1/messages`.

Called by the server with raw bodies. It refuses what the real API refuses (no `max_tokens`, an empty text block, a
tool use without its result), so that an adapter which passes here has the right shapes. It must never look at a brain
or a fault.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    describe,
    event,
    invalid,
    pieces,
    unpaired,
    usage_of,
)

_STOP: dict[Finish, str] = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "refusal": "refusal",
    "content_filter": "refusal",
}
_ERROR_TYPE = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Block(BaseModel):
    """A content block of any type; which fields it needs is checked by `_misplaced`."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    tool_use_id: str = ""
    content: str | list[_Block] = ""
    is_error: bool | None = None


class _Message(BaseModel):
    role: Literal["user", "assistant"]
    content: str | list[_Block]

    @property
    def blocks(self) -> list[_Block]:
        return [_Block(type="text", text=self.content)] if isinstance(self.content, str) else self.content


class _Tool(BaseModel):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    description: str = ""
    input_schema: dict[str, Any]


class _Choice(BaseModel):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str
    max_tokens: Annotated[int, Field(ge=1)]
    messages: Annotated[list[_Message], Field(min_length=1)]
    system: str | list[_Block] = ""
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    stream: bool | None = None


class AnthropicWire:
    """Reads message requests and writes messages."""

    provider: Provider = "anthropic"
    path = "/v1/messages"
    request_id_header = "request-id"
    needs_query: tuple[str, ...] = ()

    def read(self, raw: bytes, headers: Mapping[str, str]) -> WireRequest | Refusal:
        """Parse and check a request as strictly as the provider does."""
        if not headers.get("x-api-key") and not headers.get("authorization"):
            return Refusal(status=401, message="x-api-key header is required")
        if "anthropic-version" not in headers:
            return invalid("anthropic-version: header is required")
        try:
            body = _Body.model_validate_json(raw)
        except ValidationError as error:
            return describe(error)
        if problem := _misplaced(body.messages):
            return invalid(problem)
        request = WireRequest(
            provider=self.provider,
            model=body.model,
            system=_text_of(body.system),
            messages=_turns(body.messages),
            tools=tuple(_tool(tool) for tool in body.tools or ()),
            tool_choice=_choice(body.tool_choice),
            headers=headers,
            params={"max_tokens": body.max_tokens, **(body.model_extra or {})},
            is_streamed=bool(body.stream),
        )
        return _refuse_choice(request, body.tool_choice) or request

    def write(self, request: WireRequest, reply: WireReply, digest: str) -> dict[str, Any]:
        """Shape a reply; `digest` names the request, and every id is made from it."""
        content: list[dict[str, Any]] = []
        if reply.reasoning:
            content.append({"type": "thinking", "thinking": reply.reasoning, "signature": f"signed-{digest}"})
        if reply.text:
            content.append({"type": "text", "text": reply.text})
        content += [
            {
                "type": "tool_use",
                "id": call.id or f"toolu_{digest}{number}",
                "name": call.name,
                "input": _input_of(call),
            }
            for number, call in enumerate(reply.tool_calls)
        ]
        usage = usage_of(request, reply)
        return {
            "id": f"msg_{digest}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": content,
            "stop_reason": _STOP[reply.finish_reason],
            "stop_sequence": None,
            "usage": {
                "input_tokens": usage.input_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": usage.output_tokens,
            },
        }

    def write_stream(self, request: WireRequest, reply: WireReply, digest: str) -> list[str]:
        """Shape a reply as events: the message begins, then block after block, then why it ended."""
        whole = self.write(request, reply, digest)
        usage = whole["usage"]
        begun: dict[str, Any] = {"content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        events: list[dict[str, Any]] = [{"type": "message_start", "message": whole | begun}, {"type": "ping"}]
        for index, block in enumerate(whole["content"]):
            events += _block_events(index, block)
        ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        events.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}})
        events.append({"type": "message_stop"})
        return [event(each, each["type"]) for each in events]

    def write_refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Shape an error."""
        kind = _ERROR_TYPE.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": request_id}


def _block_events(index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
    """A block in pieces."""
    match block["type"]:
        case "thinking":
            empty = {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "text":
            empty = {"text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case _:
            empty = {"input": {}}  # type: ignore[dict-item]
            told = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(told)]
    return [
        {"type": "content_block_start", "index": index, "content_block": block | empty},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _misplaced(messages: list[_Message]) -> str | None:
    """What is wrong with the blocks and their order."""
    for place, message in enumerate(messages):
        for number, block in enumerate(message.blocks):
            where = f"messages.{place}.content.{number}"
            if block.type == "text" and not block.text.strip():
                return f"{where}: text content blocks must be non-empty"
            if block.type == "tool_use" and not (message.role == "assistant" and block.id and block.name):
                return f"{where}: a tool_use block needs 'id' and 'name' and stands in an assistant message"
            if block.type == "tool_result" and not (message.role == "user" and block.tool_use_id):
                return f"{where}: a tool_result block needs 'tool_use_id' and stands in a user message"
    return unpaired(_turns(messages))


def _turns(messages: list[_Message]) -> tuple[WireTurn, ...]:
    """One turn a message; neighbours of the same role are one turn, as the provider joins them."""
    turns: list[WireTurn] = []
    names: dict[str, str] = {}
    for message in messages:
        blocks = message.blocks
        calls = tuple(WireCall(id=b.id, name=b.name, arguments=b.input) for b in blocks if b.type == "tool_use")
        names |= {call.id: call.name for call in calls}
        turn = WireTurn(
            role=message.role,
            text=_text_of(blocks),
            tool_calls=calls,
            tool_results=tuple(_result(block, names) for block in blocks if block.type == "tool_result"),
        )
        if turns and turns[-1].role == turn.role:
            turn = _join(turns.pop(), turn)
        turns.append(turn)
    return tuple(turns)


def _join(left: WireTurn, right: WireTurn) -> WireTurn:
    return WireTurn(
        role=left.role,
        text="\n\n".join(text for text in (left.text, right.text) if text),
        tool_calls=left.tool_calls + right.tool_calls,
        tool_results=left.tool_results + right.tool_results,
    )


def _result(block: _Block, names: Mapping[str, str]) -> WireResult:
    return WireResult(
        call_id=block.tool_use_id,
        name=names.get(block.tool_use_id, ""),
        text=_text_of(block.content),
        is_error=bool(block.is_error),
    )


def _text_of(content: str | list[_Block]) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(block.text for block in content if block.type == "text")


def _tool(tool: _Tool) -> WireTool:
    return WireTool(name=tool.name, description=tool.description, schema=tool.input_schema)


def _choice(choice: _Choice | None) -> str:
    if choice is None:
        return "auto"
    return choice.name or "" if choice.type == "tool" else choice.type


def _refuse_choice(request: WireRequest, choice: _Choice | None) -> Refusal | None:
    if choice is not None and not request.tools:
        return invalid("tool_choice: may only be specified while providing tools")
    if choice is not None and choice.type == "tool" and not request.offers(request.tool_choice):
        return invalid(f"tool_choice: the tool {request.tool_choice!r} is not in 'tools'")
    return None


def _input_of(call: WireCall) -> Any:
    """The arguments as JSON value; a raw string that is no JSON is sent as it is, to test the reader."""
    if not isinstance(call.arguments, str):
        return dict(call.arguments)
    try:
        return json.loads(call.arguments)
    except ValueError:
        return call.arguments
