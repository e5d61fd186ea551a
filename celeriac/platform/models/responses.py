"""OpenAI's Responses API as a wire form: `openai(…, api="responses")`.

Called by `exchange` through the adapters; does no I/O. Each request brings the whole conversation: the platform keeps
it, not the provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from celeriac.platform.message import Attachment, FinishReason, Message, ToolCall, Usage, Verbatim
from celeriac.platform.models import pricing, wire
from celeriac.platform.models.form import Asked
from celeriac.platform.models.model import ModelReply, ToolSpec
from celeriac.platform.models.responses_stream import ResponseAssembler
from celeriac.platform.models.strict_schema import NotStrict, as_strict

_INCOMPLETE: dict[object, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesForm:
    """The Responses API."""

    def write(self, asked: Asked) -> dict[str, Any]:
        """Write a request."""
        request = asked.request
        if request.prefill:
            raise asked.unsendable("the beginning of its reply (prefill); only Anthropic's models do")
        body: dict[str, Any] = {"model": asked.model, "input": list(_items(asked))}
        if request.system:
            body["instructions"] = request.system
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.output is not None:
            output = request.output
            named = {"name": output.name, "schema": dict(output.schema), "strict": output.strict}
            body["text"] = {"format": {"type": "json_schema", **named}}
        return wire.with_params(body, asked.params)

    def streamed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for a stream."""
        return {**body, "stream": True}

    def is_reply(self, body: Mapping[str, Any]) -> bool:
        """Whether there is an output that has come to its end, and no failure in its place."""
        has_ended = body.get("status") in (None, "completed", "incomplete")
        return isinstance(body.get("output"), list) and has_ended and not body.get("error")

    def read(self, asked: Asked, body: Mapping[str, Any]) -> ModelReply:
        """Read a response; items other than messages, calls and reasoning stay in `raw`."""
        items = body["output"]
        parts = list(_parts(items))
        refusal = "".join(part.get("refusal") or "" for part in parts)
        calls = wire.read_calls(
            (item.get("call_id"), item.get("name"), item.get("arguments"))
            for item in items
            if item.get("type") == "function_call"
        )
        why = (body.get("incomplete_details") or {}).get("reason")
        finish: FinishReason = "tool" if calls else "refusal" if refusal else "stop"
        if body.get("status") == "incomplete":
            finish = _INCOMPLETE.get(why, "length")
        name = body.get("model") or asked.model
        return ModelReply(
            model=name,
            by=asked.by,
            text="".join(part.get("text") or "" for part in parts) or refusal,
            tool_calls=calls,
            finish_reason=finish,
            usage=_usage(asked, name, body.get("usage")),
            raw=body,
            reasoning="\n\n".join(_thoughts(items)),
            verbatim=_verbatim(asked, body),
        )

    def assembler(self, asked: Asked) -> ResponseAssembler:
        """Return what puts one stream together."""
        return ResponseAssembler()


def _items(asked: Asked) -> Iterator[dict[str, Any]]:
    for message in asked.request.messages:
        if message.attachments:
            wire.only_a_users(asked, message)
            parts = [_part(asked, attachment) for attachment in message.attachments]
            text = [{"type": "input_text", "text": message.text}] if message.text else []
            yield {"role": "user", "content": [*parts, *text]}
        elif message.tool_result is not None:
            result = message.tool_result
            yield {"type": "function_call_output", "call_id": result.call_id, "output": wire.result_text(result)}
        elif message.role == "assistant":
            yield from _assistant(asked, message)
        elif message.text:
            yield {"role": message.role, "content": message.text}


def _assistant(asked: Asked, message: Message) -> Iterator[dict[str, Any]]:
    """Say again what the model said, each thought before what it led to."""
    kept = message.verbatim
    thoughts: tuple[dict[str, Any], ...] = kept.blocks if kept is not None and kept.by == _by(asked) else ()
    said: list[dict[str, Any]] = [{"role": "assistant", "content": message.text}] if message.text else []
    said += [_call(call) for call in message.tool_calls]
    for place, item in enumerate(said):  # a thought without what it led to would be refused
        yield from (block["item"] for block in thoughts if block["before"] == place)
        yield item


def _verbatim(asked: Asked, body: Mapping[str, Any]) -> Verbatim | None:
    """Keep the reasoning items, each with the place of what it led to: the text, then the calls.

    One that the provider neither stored nor encrypted is known to nobody, and would be refused.
    """
    items = body["output"]
    blocks: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    calls = int(any(part.get("text") or part.get("refusal") for part in _parts(items)))
    for item in items:
        match item.get("type"):
            case "reasoning" if item.get("encrypted_content") or body.get("store") is not False:
                waiting.append(item)
                continue
            case "message":
                place = 0
            case "function_call":
                place, calls = calls, calls + 1
            case _:
                continue
        blocks += [{"before": place, "item": thought} for thought in waiting]
        waiting = []
    return Verbatim(by=_by(asked), blocks=tuple(blocks)) if blocks else None


def _by(asked: Asked) -> str:
    return f"{asked.provider}/responses"


def _part(asked: Asked, given: Attachment) -> dict[str, Any]:
    if given.kind == "audio":
        raise asked.unsendable(f"attachments of type {given.media_type!r} through the Responses API")
    if given.kind == "image":
        return {"type": "input_image", "image_url": given.data_url, "detail": "auto"}
    if given.url:
        return {"type": "input_file", "file_url": given.url}
    return {"type": "input_file", "filename": given.name or "file", "file_data": given.data_url}


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = wire.to_json(wire.sent_input(call))
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    # Strict by default here, so that it must be said where a schema cannot be.
    schema, is_strict = dict(tool.schema), False
    if tool.strict is not False:
        try:
            schema, is_strict = as_strict(tool.schema), True
        except NotStrict:
            if tool.strict:
                raise
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": schema,
        "strict": is_strict,
    }


def _tool_choice(choice: str) -> str | dict[str, Any]:
    match choice:
        case "auto" | "none":
            return choice
        case "any":
            return "required"
        case name:
            return {"type": "function", "name": name}


def _parts(items: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for item in items:
        if item.get("type") == "message":
            yield from item.get("content") or ()


def _thoughts(items: list[Mapping[str, Any]]) -> Iterator[str]:
    for item in items:
        if item.get("type") == "reasoning":
            yield from (part.get("text") or "" for part in (*(item.get("summary") or ()), *(item.get("content") or ())))


def _usage(asked: Asked, model: str, sent: object) -> Usage:
    usage = Usage(
        model_calls=1,
        input_tokens=wire.count(sent, "input_tokens"),
        output_tokens=wire.count(sent, "output_tokens"),
        cached_tokens=wire.count(sent, "input_tokens_details", "cached_tokens"),
        reasoning_tokens=wire.count(sent, "output_tokens_details", "reasoning_tokens"),
    )
    written = wire.count(sent, "input_tokens_details", "cache_write_tokens")
    cost = pricing.cost(asked.provider, model, usage, cache_written_tokens=written, declared=asked.model)
    return replace(usage, cost_usd=cost)
