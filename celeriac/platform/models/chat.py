"""OpenAI's chat completions as a wire form; Gemini, Grok, Azure and many others speak it too.

Called by `exchange` through the adapters; does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from celeriac.platform.message import Attachment, FinishReason, Message, ToolCall, Usage, Verbatim
from celeriac.platform.models import pricing, wire
from celeriac.platform.models.chat_stream import ChatAssembler
from celeriac.platform.models.form import Asked
from celeriac.platform.models.model import ModelReply, ToolSpec
from celeriac.platform.models.strict_schema import as_strict

_FINISH: dict[object, FinishReason] = {
    "stop": "stop",
    "tool_calls": "tool",
    "function_call": "tool",
    "length": "length",
    "content_filter": "content_filter",
}

#: the sounds that the protocol has a word for
_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}

#: the kinds of attachments that each provider takes; who is not named gets what OpenAI takes
_TAKES = {"gemini": ("image", "audio"), "grok": ("image",), "azure_openai": ("image", "audio")}


class ChatForm:
    """Chat completions."""

    def write(self, asked: Asked) -> dict[str, Any]:
        """Write a request."""
        request = asked.request
        if request.prefill:
            raise asked.unsendable("the beginning of its reply (prefill); only Anthropic's models do")
        body: dict[str, Any] = {"model": asked.model, "messages": list(_messages(asked))}
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.output is not None:
            output = request.output
            named = {"name": output.name, "schema": dict(output.schema), "strict": output.strict}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return wire.with_params(body, asked.params)

    def streamed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for a stream that ends with its usage."""
        return {**body, "stream": True, "stream_options": {**body.get("stream_options", {}), "include_usage": True}}

    def is_reply(self, body: Mapping[str, Any]) -> bool:
        """Whether there is a choice."""
        return bool(body.get("choices"))

    def read(self, asked: Asked, body: Mapping[str, Any]) -> ModelReply:
        """Read a chat completion; only the first choice counts."""
        choice = body["choices"][0]
        said = choice.get("message") or {}
        calls = wire.read_calls(_sent_calls(said))
        refusal = said.get("refusal") or ""
        finish = _FINISH.get(choice.get("finish_reason"), "stop")
        if refusal:
            finish = "refusal"
        elif calls and finish == "stop":  # what OpenAI says where the choice named the tool
            finish = "tool"
        name = body.get("model") or asked.model
        return ModelReply(
            model=name,
            by=asked.by,
            text=_text(said.get("content")) or refusal,
            tool_calls=calls,
            finish_reason=finish,
            usage=_usage(asked, name, body.get("usage")),
            raw=body,
            reasoning=_text(said.get("reasoning_content") or said.get("reasoning")),
            verbatim=_verbatim(asked, said),
        )

    def assembler(self, asked: Asked) -> ChatAssembler:
        """Return what puts one stream together."""
        return ChatAssembler()


def _messages(asked: Asked) -> Iterator[dict[str, Any]]:
    if asked.request.system:
        yield {"role": "system", "content": asked.request.system}
    for message in asked.request.messages:
        if message.attachments:
            yield {"role": "user", "content": _parts(asked, message)}
        elif message.tool_result is not None:
            result = message.tool_result
            yield {"role": "tool", "tool_call_id": result.call_id, "content": wire.result_text(result)}
        elif message.role == "assistant" and (message.tool_calls or message.text):
            yield _assistant(asked, message)
        elif message.text:  # a message without a word is refused by some and tells nothing to the others
            yield {"role": message.role, "content": message.text}


def _assistant(asked: Asked, message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant"}
    kept = message.verbatim
    extras = {b.get("place"): b["extra_content"] for b in kept.blocks} if kept and kept.by == asked.provider else {}
    if message.tool_calls:
        out["tool_calls"] = [
            _call(call) | ({"extra_content": extras[place]} if place in extras else {})
            for place, call in enumerate(message.tool_calls)
        ]
    if message.text:
        out["content"] = message.text
    if None in extras:
        out["extra_content"] = extras[None]
    return out


def _verbatim(asked: Asked, said: Mapping[str, Any]) -> Verbatim | None:
    """Keep the signatures of Gemini's thoughts, of the message and of each call, which it wants back with them."""
    holders: list[tuple[int | None, Mapping[str, Any]]] = [(None, said), *enumerate(said.get("tool_calls") or ())]
    blocks = [
        ({} if place is None else {"place": place}) | {"extra_content": holder["extra_content"]}
        for place, holder in holders
        if holder.get("extra_content")
    ]
    return Verbatim(by=asked.provider, blocks=tuple(blocks)) if blocks else None


def _parts(asked: Asked, message: Message) -> list[dict[str, Any]]:
    wire.only_a_users(asked, message)
    parts = [_part(asked, attachment) for attachment in message.attachments]
    return [*parts, {"type": "text", "text": message.text}] if message.text else parts


def _part(asked: Asked, given: Attachment) -> dict[str, Any]:
    if given.kind not in _TAKES.get(asked.provider, ("image", "audio", "file", "text")):
        raise asked.unsendable(f"attachments of type {given.media_type!r}")
    if given.kind == "image":
        return {"type": "image_url", "image_url": {"url": given.data_url}}
    if given.url:
        raise asked.unsendable(f"a file of type {given.media_type!r} by its address; give its bytes")
    if given.kind == "audio":
        if given.media_type not in _SOUNDS:
            raise asked.unsendable(f"attachments of type {given.media_type!r}; it takes WAV and MP3")
        return {"type": "input_audio", "input_audio": {"data": given.data, "format": _SOUNDS[given.media_type]}}
    return {"type": "file", "file": {"filename": given.name or "file", "file_data": given.data_url}}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": wire.to_json(wire.sent_input(call))}
    return {"id": call.id, "type": "function", "function": function}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    schema = as_strict(tool.schema) if tool.strict else dict(tool.schema)
    function = {"name": tool.name, "description": tool.description, "parameters": schema}
    return {"type": "function", "function": function | ({"strict": True} if tool.strict else {})}


def _tool_choice(choice: str) -> str | dict[str, Any]:
    match choice:
        case "auto" | "none":
            return choice
        case "any":
            return "required"
        case name:
            return {"type": "function", "function": {"name": name}}


def _sent_calls(said: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None, object]]:
    for call in said.get("tool_calls") or ():
        function = call.get("function") or {}
        yield call.get("id"), function.get("name"), function.get("arguments")


def _text(content: object) -> str:
    """Return the text; some who speak the protocol send it in parts."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _usage(asked: Asked, model: str, sent: object) -> Usage:
    read, said = wire.count(sent, "prompt_tokens"), wire.count(sent, "completion_tokens")
    thought = wire.count(sent, "completion_tokens_details", "reasoning_tokens")
    # Gemini and Grok leave what was thought out of the completion, though it is paid for; the total has it
    left_out = max(0, wire.count(sent, "total_tokens") - read - said)
    usage = Usage(
        model_calls=1,
        input_tokens=read,
        output_tokens=said + left_out,
        cached_tokens=wire.count(sent, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=thought or left_out,
    )
    written = wire.count(sent, "prompt_tokens_details", "cache_write_tokens")
    cost = pricing.cost(asked.provider, model, usage, cache_written_tokens=written, declared=asked.model)
    return replace(usage, cost_usd=cost)
