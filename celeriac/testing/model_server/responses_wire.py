"""OpenAI's Responses API on the wire: `POST /v1/responses`.

Called by the server with raw bodies. It refuses what the real API refuses (a missing key, an output without its call, a
thought without what it led to). It must never look at a brain or a fault.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from celeriac.testing.model_server.openai_wire import OpenAIWire, refuse_key
from celeriac.testing.model_server.wire import (
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

_CHOICE = {"auto": "auto", "none": "none", "required": "any"}


class _Part(BaseModel):
    type: str
    text: str = ""


class _Item(BaseModel):
    """An item of any type; which fields it needs is checked by `_misplaced`."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[_Part] | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str | list[_Part] = ""

    @property
    def text(self) -> str:
        return _text_of(self.content)


class _Tool(BaseModel):
    type: Literal["function"]
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class _NamedChoice(BaseModel):
    type: Literal["function"]
    name: str


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str
    input: str | Annotated[list[_Item], Field(min_length=1)]
    instructions: str | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _NamedChoice | None = None
    stream: bool | None = None


class ResponsesWire:
    """Reads requests for responses and writes responses."""

    request_id_header = "x-request-id"

    def __init__(
        self, provider: Provider = "openai", path: str = "/v1/responses", *, needs_query: tuple[str, ...] = ()
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
        items = [_Item(role="user", content=body.input)] if isinstance(body.input, str) else body.input
        if problem := _misplaced(items):
            return invalid(problem)
        said = [body.instructions or "", *(item.text for item in items if item.role in ("system", "developer"))]
        choice = body.tool_choice
        return WireRequest(
            provider=self.provider,
            model=body.model,
            system="\n\n".join(text for text in said if text),
            messages=_turns(items),
            tools=tuple(_tool(tool) for tool in body.tools or ()),
            tool_choice=choice.name if isinstance(choice, _NamedChoice) else _CHOICE[choice or "auto"],
            headers=headers,
            params=body.model_extra or {},
            is_streamed=bool(body.stream),
        )

    def write(self, request: WireRequest, reply: WireReply, digest: str) -> dict[str, Any]:
        """Shape a reply; `digest` names the request, and every id is made from it."""
        usage = usage_of(request, reply)
        incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish_reason)
        return {
            "id": f"resp_{digest}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "incomplete" if incomplete else "completed",
            "error": None,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "model": request.model,
            "output": _output(reply, digest),
            "store": request.params.get("store", True),
            "usage": {
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.input_tokens + usage.output_tokens,
            },
        }

    def write_stream(self, request: WireRequest, reply: WireReply, digest: str) -> list[str]:
        """Shape a reply as events; the last one has the whole response."""
        whole = self.write(request, reply, digest)
        begun = whole | {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        for index, item in enumerate(whole["output"]):
            events += _item_events(index, item)
        events.append({"type": f"response.{whole['status']}", "response": whole})
        return [event({**each, "sequence_number": n}, each["type"]) for n, each in enumerate(events)]

    def write_refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Shape an error; it is the one of chat completions."""
        return OpenAIWire().write_refusal(refusal, request_id)


def _output(reply: WireReply, digest: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if reply.reasoning:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        items.append({"type": "reasoning", "id": f"rs_{digest}", "summary": summary})
    if reply.text:
        is_refusal = reply.finish_reason == "refusal"
        said = {"type": "output_text", "text": reply.text, "annotations": []}
        part = {"type": "refusal", "refusal": reply.text} if is_refusal else said
        head = {"type": "message", "id": f"msg_{digest}", "role": "assistant", "status": "completed"}
        items.append({**head, "content": [part]})
    for number, call in enumerate(reply.tool_calls):
        called = {"call_id": call.id or f"call_{digest}{number}", "name": call.name, "arguments": arguments_text(call)}
        items.append({"type": "function_call", "id": f"fc_{digest}{number}", "status": "completed", **called})
    return items


def _item_events(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    """An item in pieces."""
    match item["type"]:
        case "function_call":
            kind, text, empty = "response.function_call_arguments", item["arguments"], {"arguments": ""}
        case "reasoning":
            kind, text = "response.reasoning_summary_text", item["summary"][0]["text"]
            empty = {"summary": []}  # type: ignore[dict-item]
        case _:
            [part] = item["content"]
            text = part.get("text") or part.get("refusal")
            kind = "response.output_text" if part["type"] == "output_text" else "response.refusal"
            empty = {"content": []}  # type: ignore[dict-item]
    place = {"output_index": index, "item_id": item["id"]}
    return [
        {
            "type": "response.output_item.added",
            "output_index": index,
            "item": {**item, **empty, "status": "in_progress"},
        },
        *({"type": f"{kind}.delta", **place, "delta": piece} for piece in pieces(text)),
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _misplaced(items: list[_Item]) -> str | None:
    """What is wrong with single items, then with their order."""
    for place, item in enumerate(items):
        if item.type == "message" and (item.role is None or item.content is None):
            return f"input.{place}: a message needs 'role' and 'content'"
        if item.type == "function_call" and not (item.call_id and item.name):
            return f"input.{place}: a function_call needs 'call_id' and 'name'"
        if item.type == "function_call_output" and not item.call_id:
            return f"input.{place}: a function_call_output needs 'call_id'"
        follows = items[place + 1] if place + 1 < len(items) else None
        if item.type == "reasoning" and (follows is None or follows.role == "user"):
            return f"input.{place}: an item of type 'reasoning' was provided without its required following item"
    return unpaired(_turns(items))


def _turns(items: list[_Item]) -> tuple[WireTurn, ...]:
    """Fold the items into turns: what the model said on end is one, and so are the outputs that follow it."""
    turns: list[WireTurn] = []
    names: dict[str, str] = {}
    for item in items:
        match item.type:
            case "message" if item.role in ("user", "assistant"):
                turns.append(WireTurn(role=item.role, text=item.text))
            case "function_call":
                names[item.call_id] = item.name
                _extend(turns, "assistant", tool_calls=(_call(item),))
            case "function_call_output":
                name = names.get(item.call_id, "")
                result = WireResult(call_id=item.call_id, name=name, text=_text_of(item.output))
                _extend(turns, "user", tool_results=(result,))
            case _:
                pass  # a system message stands in the system prompt, and thoughts are no turn
    return tuple(turns)


def _extend(
    turns: list[WireTurn],
    role: Literal["user", "assistant"],
    *,
    tool_calls: tuple[WireCall, ...] = (),
    tool_results: tuple[WireResult, ...] = (),
) -> None:
    """Add calls or results to the newest turn where it is one of them, else as a new one."""
    open_turn = turns[-1] if turns else None
    fits = open_turn is not None and open_turn.role == role and (role == "assistant" or bool(open_turn.tool_results))
    last = turns.pop() if fits else WireTurn(role=role)
    turns.append(
        WireTurn(
            role=role,
            text=last.text,
            tool_calls=last.tool_calls + tool_calls,
            tool_results=last.tool_results + tool_results,
        )
    )


def _call(item: _Item) -> WireCall:
    arguments: dict[str, Any] | str = item.arguments
    with suppress(ValueError):  # a model may have sent broken JSON, and the conversation carries it along
        parsed = json.loads(item.arguments)
        arguments = parsed if isinstance(parsed, dict) else arguments
    return WireCall(id=item.call_id, name=item.name, arguments=arguments)


def _tool(tool: _Tool) -> WireTool:
    return WireTool(name=tool.name, description=tool.description or "", schema=tool.parameters)


def _text_of(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text for part in content)
    return content or ""
