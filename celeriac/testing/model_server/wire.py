"""The neutral values between the two wire protocols and the brain: what was asked, what is answered, what is refused.

`openai_wire` and `anthropic_wire` translate between HTTP bodies and these values; a brain, `respond(request)`, sees
nothing else. This module must never know HTTP, a provider's field names, or a brain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import ValidationError

Provider = Literal["openai", "anthropic", "azure_openai", "gemini", "grok"]
Finish = Literal["stop", "tool_calls", "length", "refusal", "content_filter"]

#: a piece of a stream has at most so many characters
PIECE = 12


@dataclass(frozen=True, kw_only=True)
class WireCall:
    """A tool call. `arguments` of a reply may be a raw string, to send what no honest model should."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    #: Left empty in a reply: the server gives ids that depend on the request only.
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class WireResult:
    """The answer to a tool call; `name` is looked up from the call, since providers send only its id."""

    call_id: str
    name: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, kw_only=True)
class WireTurn:
    """One message of the conversation without the system prompt; tool results stand in a user turn."""

    role: Literal["user", "assistant"]
    text: str = ""
    tool_calls: tuple[WireCall, ...] = ()
    tool_results: tuple[WireResult, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WireTool:
    """A tool as it was offered to the model."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WireRequest:
    """One model request, the same for both providers."""

    provider: Provider
    model: str
    system: str = ""
    messages: tuple[WireTurn, ...]
    tools: tuple[WireTool, ...] = ()
    #: `auto`, `any`, `none` or the name of the one tool that must be called.
    tool_choice: str = "auto"
    #: Lower-case names.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: What else the body said (temperature, max_tokens, response_format), as it was sent.
    params: Mapping[str, Any] = field(default_factory=dict)
    #: Whether the answer is wanted piece by piece.
    is_streamed: bool = False
    #: The path that was asked.
    path: str = ""

    def offers(self, name: str) -> bool:
        """Whether a tool of this name is on offer."""
        return any(tool.name == name for tool in self.tools)

    def result_of(self, name: str) -> WireResult | None:
        """The newest result of the tool of this name in the conversation."""
        results = [result for turn in self.messages for result in turn.tool_results if result.name == name]
        return results[-1] if results else None


@dataclass(frozen=True, kw_only=True)
class WireReply:
    """What the model says. Without `finish` it follows from the tool calls."""

    text: str = ""
    tool_calls: Sequence[WireCall] = ()
    finish: Finish | None = None
    #: What the model thinks before it speaks, where the protocol has a word for it.
    reasoning: str = ""

    @property
    def finish_reason(self) -> Finish:
        """The stated reason, else `tool_calls` where there are some, else `stop`."""
        return self.finish or ("tool_calls" if self.tool_calls else "stop")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error answer in the provider's own shape. `retry_after` in seconds becomes the header."""

    status: int
    message: str
    #: OpenAI's `error.code` (`insufficient_quota`, `context_length_exceeded`); Anthropic has none.
    code: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one exchange, counted from the text."""

    input_tokens: int
    output_tokens: int


#: A brain: called on the server's event loop, so it must answer within a millisecond or two and never block.
Respond = Callable[[WireRequest], WireReply | Refusal]


class Wire(Protocol):
    """One provider's protocol: reads its bodies and writes its answers."""

    provider: Provider
    path: str
    request_id_header: str
    #: What the URL must bring behind its question mark.
    needs_query: tuple[str, ...] = ()

    def read(self, raw: bytes, headers: Mapping[str, str]) -> WireRequest | Refusal:
        """Parse and check a request as strictly as the provider does."""

    def write(self, request: WireRequest, reply: WireReply, digest: str) -> dict[str, Any]:
        """Shape a reply; `digest` names the request, and every id is made from it."""

    def write_stream(self, request: WireRequest, reply: WireReply, digest: str) -> list[str]:
        """Shape a reply as the events of a stream, each with its closing blank line."""

    def write_refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Shape an error."""


def event(body: Mapping[str, Any] | str, name: str = "") -> str:
    """Write one server-sent event."""
    data = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"


def pieces(text: str) -> list[str]:
    """Cut a text as a stream brings it."""
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def count_tokens(text: str) -> int:
    """A token for every four characters begun: deterministic, and close enough for budgets and usage."""
    return (len(text) + 3) // 4


def usage_of(request: WireRequest, reply: WireReply) -> Usage:
    """Count what went in (system, turns, tools) and what came out."""
    asked = count_tokens(request.system)
    for turn in request.messages:
        asked += count_tokens(turn.text) + _tokens_of_calls(turn.tool_calls)
        asked += sum(count_tokens(result.text) for result in turn.tool_results)
    for tool in request.tools:
        asked += count_tokens(tool.name + tool.description + json.dumps(tool.schema))
    said = count_tokens(reply.text) + count_tokens(reply.reasoning) + _tokens_of_calls(reply.tool_calls)
    return Usage(input_tokens=asked, output_tokens=said)


def arguments_text(call: WireCall) -> str:
    """The arguments as the JSON text that OpenAI sends; a raw string stays as it is."""
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)


def unpaired(turns: Sequence[WireTurn]) -> str | None:
    """Say what is wrong when tool calls and results do not pair up, which both providers refuse."""
    open_ids: list[str] = []
    for turn in turns:
        answered = [result.call_id for result in turn.tool_results]
        if stray := [call_id for call_id in answered if call_id not in open_ids]:
            return f"tool result for {stray[0]!r} has no tool call in the message before it"
        if missing := [call_id for call_id in open_ids if call_id not in answered]:
            return f"tool calls must be followed by their results; {missing[0]!r} has none"
        open_ids = [call.id for call in turn.tool_calls]
    return f"tool calls must be followed by their results; {open_ids[0]!r} has none" if open_ids else None


def invalid(message: str) -> Refusal:
    """A 400 with this text."""
    return Refusal(status=400, message=message)


def describe(error: ValidationError) -> Refusal:
    """Turn the first problem of a body that does not fit into a 400 that names its place."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return invalid(f"{place}: {first['msg']}" if place else first["msg"])


def _tokens_of_calls(calls: Iterable[WireCall]) -> int:
    return sum(count_tokens(call.name + arguments_text(call)) for call in calls)
