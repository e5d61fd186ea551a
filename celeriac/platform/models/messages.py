"""Anthropic's messages as a wire form.

Called by `exchange` through the adapter; does no I/O. Thinking goes back as it came, signatures and hidden parts too:
the provider refuses a tool's result whose thought was changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from celeriac.platform.message import Attachment, FinishReason, Message, ToolCall, Usage, Verbatim
from celeriac.platform.models import pricing, wire
from celeriac.platform.models.form import Asked
from celeriac.platform.models.messages_stream import MessageAssembler
from celeriac.platform.models.model import ModelReply, OutputSpec, ToolSpec
from celeriac.platform.models.schema_mode import as_schema_mode, fits_schema_mode
from celeriac.platform.models.strict_schema import as_strict

#: the provider demands a limit on the output; this one holds where the user sets none
MAX_TOKENS = 4096

_FINISH: dict[object, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}

#: the models with a schema mode: Anthropic's own, from Opus 4.1 and the 4.5 family on
_SCHEMA_MODE = re.compile(r"claude-(?!\d|instant|(?:opus|sonnet)-4(?:-0|-2025\d{4}|$))")

_THINKING = ("thinking", "redacted_thinking")


class MessagesForm:
    """Anthropic's messages."""

    def write(self, asked: Asked) -> dict[str, Any]:
        """Write a request."""
        request = asked.request
        body: dict[str, Any] = {"model": asked.model, "max_tokens": MAX_TOKENS, "messages": _turns(asked)}
        system = [request.system, *(message.text for message in request.messages if message.role == "system")]
        if any(text.strip() for text in system):
            body["system"] = "\n\n".join(text for text in system if text.strip())
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
            body["tool_choice"] = _tool_choice(request.tool_choice)
        elif called := dict.fromkeys(call.name for message in request.messages for call in message.tool_calls):
            # a conversation with tool calls must define tools, also for an agent that has none
            body["tools"] = [_tool(ToolSpec(name=name, description="", schema={"type": "object"})) for name in called]
            body["tool_choice"] = {"type": "none"}
        if request.output is not None:
            body |= _output(asked, request.output, body)
        return wire.with_params(body, asked.params)

    def streamed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for a stream."""
        return {**body, "stream": True}

    def is_reply(self, body: Mapping[str, Any]) -> bool:
        """Whether there is a content; it may be empty."""
        return isinstance(body.get("content"), list)

    def read(self, asked: Asked, body: Mapping[str, Any]) -> ModelReply:
        """Read a message; what is neither text nor tool call is kept for the way back."""
        forced = forced_tool(asked)
        said = [_as_text(block, forced) for block in body["content"]]
        calls = wire.read_calls(
            (block.get("id"), block.get("name"), block.get("input"))
            for block in said
            if block.get("type") == "tool_use"
        )
        stop = body.get("stop_reason")
        finish = _FINISH.get(stop, "tool" if calls else "stop")
        if forced and finish == "tool" and not calls:
            finish = "stop"
        name = body.get("model") or asked.model
        return ModelReply(
            model=name,
            by=asked.by,
            text="".join(block.get("text") or "" for block in said if block.get("type") == "text"),
            tool_calls=calls,
            finish_reason=finish,
            usage=_usage(asked, name, body.get("usage")),
            raw=body,
            reasoning="\n\n".join(b["thinking"] for b in said if b.get("type") == "thinking" and b.get("thinking")),
            verbatim=_verbatim(asked, said),
        )

    def assembler(self, asked: Asked) -> MessageAssembler:
        """Return what puts one stream together."""
        return MessageAssembler(forced_tool(asked))


def forced_tool(asked: Asked) -> str:
    """Return the name of the tool that stands for the output, where no schema mode takes it; else nothing."""
    output = asked.request.output
    if output is None or (_SCHEMA_MODE.match(asked.model) and fits_schema_mode(output.schema)):
        return ""
    return output.name


def _output(asked: Asked, output: OutputSpec, body: Mapping[str, Any]) -> dict[str, Any]:
    if not forced_tool(asked):
        return {"output_config": {"format": {"type": "json_schema", "schema": as_schema_mode(output.schema)}}}
    tool = _tool(ToolSpec(name=output.name, description=output.description, schema=output.schema))
    choice: dict[str, Any] = {"type": "any"} if asked.request.tools else {"type": "tool", "name": output.name}
    if asked.params.get("thinking", {}).get("type", "disabled") != "disabled":
        choice = {"type": "auto"}  # a model that thinks cannot be forced
    return {"tools": [*body.get("tools", ()), tool], "tool_choice": choice}


def _as_text(block: Mapping[str, Any], forced: str) -> Mapping[str, Any]:
    """Return the call of the tool that stands for the output as the text that it is."""
    if not forced or block.get("type") != "tool_use" or block.get("name") != forced:
        return block
    given = block.get("input")
    return {"type": "text", "text": given if isinstance(given, str) else wire.to_json(given)}


def _turns(asked: Asked) -> list[dict[str, Any]]:
    """Write messages as turns: all that one side says on end, tool results too, is one message of several blocks."""
    said = [(role, blocks) for role, blocks in (_blocks(asked, m) for m in asked.request.messages) if blocks]
    if said and said[-1][0] == "assistant":
        # what another agent said last is input for this one; as an answer begun it would be refused
        said[-1] = ("user", [block for block in said[-1][1] if block["type"] in ("text", "tool_use")])
    turns: list[dict[str, Any]] = []
    for role, blocks in said:
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    if begun := asked.request.prefill.rstrip():  # a blank at its end is refused
        turns.append({"role": "assistant", "content": [{"type": "text", "text": begun}]})
    return turns


def _blocks(asked: Asked, message: Message) -> tuple[str, list[dict[str, Any]]]:
    if message.role == "system":
        return "system", []  # stands in the system prompt
    if message.tool_result is not None:
        result = message.tool_result
        block = {"type": "tool_result", "tool_use_id": result.call_id, "content": wire.result_text(result)}
        return "user", [block | {"is_error": True} if result.error is not None else block]
    if message.role == "assistant":
        return "assistant", _said_again(asked, message)
    if message.attachments:
        wire.only_a_users(asked, message)
    return message.role, [*(_attached(asked, given) for given in message.attachments), *_texts(message.text)]


def _said_again(asked: Asked, message: Message) -> list[dict[str, Any]]:
    """Write what the model said, and where it stood what is kept verbatim."""
    calls = [_call(call) for call in message.tool_calls]
    kept = message.verbatim
    if kept is None or kept.by != asked.provider:
        return [*_texts(message.text), *calls]
    marks = [block for block in kept.blocks if block["type"] in ("~text", "~call")]
    lengths = [mark["length"] for mark in marks if mark["type"] == "~text"]
    if sum(lengths) != len(message.text) or len(marks) - len(lengths) != len(calls):
        # a hook changed the message; what was thought before it holds all the same
        thoughts = [dict(block) for block in kept.blocks if block["type"] in _THINKING]
        return [*thoughts, *_texts(message.text), *calls]
    out: list[dict[str, Any]] = []
    at = 0
    for block in kept.blocks:
        if block["type"] == "~text":
            out += _texts(message.text[at : at + block["length"]])
            at += block["length"]
        else:
            out.append(calls.pop(0) if block["type"] == "~call" else dict(block))
    return out


def _verbatim(asked: Asked, said: Sequence[Mapping[str, Any]]) -> Verbatim | None:
    if all(block.get("type") in ("text", "tool_use") for block in said):
        return None
    blocks: list[dict[str, Any]] = []
    for block in said:
        match block.get("type"):
            case "text":
                blocks.append({"type": "~text", "length": len(block.get("text") or "")})
            case "tool_use":
                blocks.append({"type": "~call"})
            case _:
                blocks.append(dict(block))
    return Verbatim(by=asked.provider, blocks=tuple(blocks))


def _texts(text: str) -> list[dict[str, Any]]:
    """Return the text as a block; blank ones are refused."""
    return [{"type": "text", "text": text}] if text.strip() else []


def _attached(asked: Asked, given: Attachment) -> dict[str, Any]:
    if given.kind == "text" and not given.url:
        text = wire.decoded(given.data)
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}} | _title(
            given
        )
    if given.kind != "image" and given.media_type != "application/pdf":
        raise asked.unsendable(f"attachments of type {given.media_type!r}; it takes images, PDF and text")
    source = {"type": "base64", "media_type": given.media_type, "data": given.data}
    if given.url:
        source = {"type": "url", "url": given.url}
    kind = "image" if given.kind == "image" else "document"
    return {"type": kind, "source": source} | ({} if kind == "image" else _title(given))


def _title(given: Attachment) -> dict[str, str]:
    return {"title": given.name} if given.name else {}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": wire.sent_input(call)}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    schema = as_schema_mode(as_strict(tool.schema)) if tool.strict else dict(tool.schema)
    strict = {"strict": True} if tool.strict else {}
    return {"name": tool.name, **described, "input_schema": schema, **strict}


def _tool_choice(choice: str) -> dict[str, Any]:
    match choice:
        case "auto" | "any" | "none":
            return {"type": choice}
        case name:
            return {"type": "tool", "name": name}


def _usage(asked: Asked, model: str, sent: object) -> Usage:
    cached = wire.count(sent, "cache_read_input_tokens")
    written = wire.count(sent, "cache_creation_input_tokens")
    usage = Usage(
        model_calls=1,
        input_tokens=wire.count(sent, "input_tokens") + cached + written,
        output_tokens=wire.count(sent, "output_tokens"),
        cached_tokens=cached,
        reasoning_tokens=wire.count(sent, "output_tokens_details", "thinking_tokens"),
    )
    cost = pricing.cost(asked.provider, model, usage, cache_written_tokens=written, declared=asked.model)
    return replace(usage, cost_usd=cost)
