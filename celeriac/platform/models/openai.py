"""OpenAI's chat completions, spoken by many others: the adapter behind `openai(…)`.

Declared when user code is imported, so making a model imports no SDK and needs no key. One request, one reply; the
engine retries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celeriac.clock import Duration, duration
from celeriac.platform import outside
from celeriac.platform.message import FinishReason, Message, ToolCall, Usage
from celeriac.platform.models import clients, pricing, wire
from celeriac.platform.models.failure import Callee, refused, unreachable, unreadable, unsendable
from celeriac.platform.models.model import ApiKey, ModelReply, ModelRequest, ToolSpec

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_FINISH: dict[object, FinishReason] = {
    "stop": "stop",
    "tool_calls": "tool",
    "function_call": "tool",
    "length": "length",
    "content_filter": "content_filter",
}


def openai(
    model: str,
    *,
    api_key: ApiKey | None = None,
    base_url: str | None = None,
    timeout: Duration = "10m",
    **params: Any,
) -> OpenAIModel:
    """Declare a model of OpenAI, or of whoever speaks its protocol at `base_url`.

    Key and address default to `OPENAI_API_KEY` and `OPENAI_BASE_URL`, read at each call. `params` go into the body of
    each request as they are: `openai("gpt-4.1", temperature=0, max_completion_tokens=500)`.
    """
    return OpenAIModel(
        name=model,
        api_key=api_key,
        base_url=clients.checked_url(base_url),
        timeout=duration(timeout),
        params=wire.checked_params("openai", params),
    )


@dataclass(frozen=True, kw_only=True)
class OpenAIModel:
    """A model behind chat completions; see `openai`."""

    name: str
    api_key: ApiKey | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: timedelta = timedelta(minutes=10)
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return "openai"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer once, through the SDK."""
        where = clients.endpoint(self.provider, self.api_key, self.base_url, request.key_choice)
        await outside.load("openai", pricing.TABLE)
        return await outside.apart(self._call(where, request))

    async def _call(self, where: clients.Endpoint, request: ModelRequest) -> ModelReply:
        import openai

        callee = Callee(provider=self.provider, model=self.name, secret=where.api_key)
        seconds = self.timeout.total_seconds()
        client = await clients.client_for(where, _new_client)
        try:
            answer = await client.chat.completions.with_raw_response.create(
                model=self.name,
                messages=[],
                # all of the body this way, sent as it stands: the SDK walks through what it is given otherwise with its
                # types in hand, which takes most of a call's CPU (1.7 of 2.6 ms for a dozen messages)
                extra_body={**request_body(self.name, request), **self.params},
                extra_headers=wire.step_header(request.origin),
                timeout=openai.Timeout(seconds, connect=min(seconds, clients.CONNECT_SECONDS)),
            )
        except openai.APIStatusError as error:
            raise refused(callee, error.status_code, error.response.headers, error.body) from error
        except openai.APIConnectionError as error:
            raise unreachable(callee, error) from error
        except (openai.OpenAIError, TypeError, ValueError) as error:
            raise unsendable(callee, error) from error
        body = wire.read_body(answer.http_response.content)
        if body is None or not body.get("choices"):
            raise unreadable(callee, "no choices", answer.headers.get("x-request-id"))
        return read_reply(self.name, body)


def request_body(model: str, request: ModelRequest) -> dict[str, Any]:
    """Write a request in OpenAI's form."""
    body: dict[str, Any] = {"model": model, "messages": list(_messages(request))}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _tool_choice(request.tool_choice)
    return body


def read_reply(model: str, body: Mapping[str, Any]) -> ModelReply:
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
    name = body.get("model") or model
    return ModelReply(
        model=name,
        text=_text(said.get("content")) or refusal,
        tool_calls=calls,
        finish_reason=finish,
        usage=_usage(name, body.get("usage")),
        raw=body,
    )


def _messages(request: ModelRequest) -> Iterator[dict[str, Any]]:
    if request.system:
        yield {"role": "system", "content": request.system}
    for message in request.messages:
        if message.tool_result is not None:
            result = message.tool_result
            yield {"role": "tool", "tool_call_id": result.call_id, "content": wire.result_text(result)}
        elif message.tool_calls:
            yield _assistant(message)
        elif message.text:  # a message without a word is refused by some and tells nothing to the others
            yield {"role": message.role, "content": message.text}


def _assistant(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant", "tool_calls": [_call(call) for call in message.tool_calls]}
    if message.text:
        out["content"] = message.text
    return out


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": wire.to_json(wire.sent_input(call))}
    return {"id": call.id, "type": "function", "function": function}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)}
    return {"type": "function", "function": function}


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


def _usage(model: str, sent: object) -> Usage:
    usage = Usage(
        model_calls=1,
        input_tokens=wire.count(sent, "prompt_tokens"),
        output_tokens=wire.count(sent, "completion_tokens"),
        cached_tokens=wire.count(sent, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=wire.count(sent, "completion_tokens_details", "reasoning_tokens"),
    )
    written = wire.count(sent, "prompt_tokens_details", "cache_write_tokens")
    return replace(usage, cost_usd=pricing.cost("openai", model, usage, cache_written_tokens=written))


def _new_client(where: clients.Endpoint) -> AsyncOpenAI:
    from openai import AsyncOpenAI, DefaultAioHttpClient

    http_client = DefaultAioHttpClient(verify=outside.tls())
    return AsyncOpenAI(api_key=where.api_key, base_url=where.base_url, max_retries=0, http_client=http_client)
