"""Anthropic's messages: the adapter behind `anthropic(…)`.

Declared when user code is imported, so making a model imports no SDK and needs no key. One request, one reply; the
engine retries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celeriac.clock import Duration, duration
from celeriac.platform import outside
from celeriac.platform.message import FinishReason, Message, Usage
from celeriac.platform.models import clients, pricing, wire
from celeriac.platform.models.failure import Callee, refused, unreachable, unreadable, unsendable
from celeriac.platform.models.model import ApiKey, ModelReply, ModelRequest, ToolSpec

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

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


def anthropic(
    model: str,
    *,
    api_key: ApiKey | None = None,
    base_url: str | None = None,
    timeout: Duration = "10m",
    **params: Any,
) -> AnthropicModel:
    """Declare a model of Anthropic.

    Key and address default to `ANTHROPIC_API_KEY` and `ANTHROPIC_BASE_URL`, read at each call. `params` go into the
    body of each request as they are; `max_tokens` is 4096 where it is not among them.
    """
    return AnthropicModel(
        name=model,
        api_key=api_key,
        base_url=clients.checked_url(base_url),
        timeout=duration(timeout),
        params=wire.checked_params("anthropic", params),
    )


@dataclass(frozen=True, kw_only=True)
class AnthropicModel:
    """A model behind Anthropic's messages; see `anthropic`."""

    name: str
    api_key: ApiKey | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: timedelta = timedelta(minutes=10)
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return "anthropic"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer once, through the SDK."""
        where = clients.endpoint(self.provider, self.api_key, self.base_url, request.key_choice)
        await outside.load("anthropic", pricing.TABLE)
        return await outside.apart(self._call(where, request))

    async def _call(self, where: clients.Endpoint, request: ModelRequest) -> ModelReply:
        import anthropic

        callee = Callee(provider=self.provider, model=self.name, secret=where.api_key)
        seconds = self.timeout.total_seconds()
        client = await clients.client_for(where, _new_client)
        try:
            answer = await client.messages.with_raw_response.create(
                **request_body(self.name, request),
                # all of them this way, since the SDK's method knows no temperature, top_p or top_k
                extra_body=dict(self.params) or None,
                extra_headers=wire.step_header(request.origin),
                timeout=anthropic.Timeout(seconds, connect=min(seconds, clients.CONNECT_SECONDS)),
            )
        except anthropic.APIStatusError as error:
            raise refused(callee, error.status_code, error.response.headers, error.body) from error
        except anthropic.APIConnectionError as error:
            raise unreachable(callee, error) from error
        except (anthropic.AnthropicError, TypeError, ValueError) as error:
            raise unsendable(callee, error) from error
        body = wire.read_body(answer.http_response.content)
        if body is None or not isinstance(body.get("content"), list):
            raise unreadable(callee, "no content", answer.headers.get("request-id"))
        return read_reply(self.name, body)


def request_body(model: str, request: ModelRequest) -> dict[str, Any]:
    """Write a request in Anthropic's form; the SDK's parameter types are TypedDicts of this shape."""
    body: dict[str, Any] = {"model": model, "max_tokens": MAX_TOKENS, "messages": _turns(request.messages)}
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
    return body


def read_reply(model: str, body: Mapping[str, Any]) -> ModelReply:
    """Read a message; blocks other than text and tool calls (thinking, …) stay in `raw`."""
    blocks = body["content"]
    calls = wire.read_calls(
        (block.get("id"), block.get("name"), block.get("input")) for block in blocks if block.get("type") == "tool_use"
    )
    name = body.get("model") or model
    return ModelReply(
        model=name,
        text="".join(block.get("text") or "" for block in blocks if block.get("type") == "text"),
        tool_calls=calls,
        finish_reason=_FINISH.get(body.get("stop_reason"), "tool" if calls else "stop"),
        usage=_usage(name, body.get("usage")),
        raw=body,
    )


def _turns(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Write messages as turns: all that one side says on end, tool results too, is one message of several blocks."""
    said = [(role, blocks) for role, blocks in map(_blocks, messages) if blocks]
    if said and said[-1][0] == "assistant":
        # what another agent said last is input for this one; as an answer begun it would be refused
        said[-1] = ("user", said[-1][1])
    turns: list[dict[str, Any]] = []
    for role, blocks in said:
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> tuple[str, list[dict[str, Any]]]:
    if message.role == "system":
        return "system", []  # stands in the system prompt
    if message.tool_result is not None:
        result = message.tool_result
        block = {"type": "tool_result", "tool_use_id": result.call_id, "content": wire.result_text(result)}
        return "user", [block | {"is_error": True} if result.error is not None else block]
    # blank texts are refused
    blocks: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text.strip() else []
    blocks.extend(
        {"type": "tool_use", "id": call.id, "name": call.name, "input": wire.sent_input(call)}
        for call in message.tool_calls
    )
    return message.role, blocks


def _tool(tool: ToolSpec) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": dict(tool.schema)}


def _tool_choice(choice: str) -> dict[str, Any]:
    match choice:
        case "auto" | "any" | "none":
            return {"type": choice}
        case name:
            return {"type": "tool", "name": name}


def _usage(model: str, sent: object) -> Usage:
    cached = wire.count(sent, "cache_read_input_tokens")
    written = wire.count(sent, "cache_creation_input_tokens")
    usage = Usage(
        model_calls=1,
        input_tokens=wire.count(sent, "input_tokens") + cached + written,
        output_tokens=wire.count(sent, "output_tokens"),
        cached_tokens=cached,
        reasoning_tokens=wire.count(sent, "output_tokens_details", "thinking_tokens"),
    )
    return replace(usage, cost_usd=pricing.cost("anthropic", model, usage, cache_written_tokens=written))


def _new_client(where: clients.Endpoint) -> AsyncAnthropic:
    from anthropic import AsyncAnthropic, DefaultAioHttpClient

    http_client = DefaultAioHttpClient(verify=outside.tls())
    return AsyncAnthropic(api_key=where.api_key, base_url=where.base_url, max_retries=0, http_client=http_client)
